-- Revokes an API key that was not revoked before.
UPDATE api_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL
RETURNING name
