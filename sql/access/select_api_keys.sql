-- All API keys, newest first.
SELECT id, name, scopes, created_at, created_by, expires_at, revoked_at, last_used_at
FROM api_keys
ORDER BY id DESC
