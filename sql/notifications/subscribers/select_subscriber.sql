-- A user with their settings and whether alerts are held. The channel is the scheme of its URL; the rest is secret.
SELECT u.id, u.email, u.created_at, u.verified_at, u.timezone, u.quiet_from, u.quiet_until, u.digest, u.digest_sent_at,
       split_part(u.channel_url, ':', 1) AS channel, u.suppressed_at, u.suppression_reason, h.reason AS held_reason,
       h.since AS held_since, nullif(greatest(h.recheck_at, h.since), 'infinity') AS held_until
FROM users u
LEFT JOIN held_users h ON h.user_id = u.id
WHERE u.id = :user_id;
