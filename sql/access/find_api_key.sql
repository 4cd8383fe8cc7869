-- A valid API key.
SELECT id, name, scopes, secret_hash, last_used_at
FROM api_keys
WHERE id = :id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
