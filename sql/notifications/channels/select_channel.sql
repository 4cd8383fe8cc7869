-- The channel to which a user's alerts are also sent, by user id or address.
SELECT channel_url FROM users WHERE id = CAST(:user_id AS bigint)
UNION ALL
SELECT channel_url FROM users WHERE lower(email) = lower(CAST(:email AS text));
