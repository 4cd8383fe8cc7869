-- The sessions of a user that have not expired, newest first.
SELECT created_at, last_seen_at, expires_at FROM sessions
WHERE user_id = :user_id AND expires_at > :now
ORDER BY created_at DESC;
