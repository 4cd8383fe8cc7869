-- Where a person's alerts go besides mail, by number or by address.
SELECT channel_url FROM users WHERE id = CAST(:user_id AS bigint)
UNION ALL
SELECT channel_url FROM users WHERE lower(email) = lower(CAST(:email AS text));
