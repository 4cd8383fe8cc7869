-- Starts the session of an operator.
INSERT INTO operator_sessions (token_hash, api_key_id, created_at, expires_at)
VALUES (:token_hash, :api_key_id, :now, :expires_at)
