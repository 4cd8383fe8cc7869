-- What is known of a person besides their alerts. Of the other channel only its kind: the rest of its URL holds secrets.
SELECT id, email, created_at, verified_at, timezone, quiet_from, quiet_until, digest, digest_sent_at,
       split_part(channel_url, ':', 1) AS channel, disabled_at, disabled_reason
FROM users WHERE id = :user_id;
