-- Starts a session of a user; no row if the user does not exist.
INSERT INTO sessions (token_hash, user_id, created_at, last_seen_at, expires_at)
SELECT CAST(:token_hash AS bytea), id, CAST(:now AS timestamptz), CAST(:now AS timestamptz), CAST(:expires_at AS timestamptz)
FROM users WHERE id = :user_id;
