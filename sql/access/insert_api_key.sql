-- Stores a new API key; returns its id.
INSERT INTO api_keys (name, scopes, secret_hash, created_at, created_by, expires_at)
VALUES (:name, :scopes, :secret_hash, :now, :created_by, :expires_at)
RETURNING id
