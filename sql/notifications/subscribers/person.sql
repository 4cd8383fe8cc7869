-- What is known of a person besides their alerts. Of the other channel only its kind: the rest of its URL holds secrets.
SELECT u.id, u.email, u.created_at, u.verified_at, u.password_hash IS NOT NULL AS has_password, u.timezone, u.quiet_from,
       u.quiet_until, u.digest, u.digest_sent_at, split_part(u.channel_url, ':', 1) AS channel, u.suppressed_at,
       u.suppression_reason, h.reason AS held_reason, h.since AS held_since, nullif(greatest(h.recheck_at, h.since), 'infinity') AS held_until
FROM users u
LEFT JOIN held_users h ON h.user_id = u.id
WHERE u.id = :user_id;
