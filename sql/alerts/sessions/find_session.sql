-- The newest of the sessions with these tokens that has not expired.
SELECT s.id, s.user_id, u.email, u.timezone, u.suppressed_at IS NOT NULL AS suppressed, s.last_seen_at
FROM sessions s
JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ANY (CAST(:token_hashes AS bytea[])) AND s.expires_at > :now
ORDER BY s.created_at DESC
LIMIT 1;
