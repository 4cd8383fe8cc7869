-- A session that has not expired, started with COINWATCH_API_TOKEN or with an API key that is still valid.
SELECT s.api_key_id, k.name
FROM operator_sessions s
LEFT JOIN api_keys k ON k.id = s.api_key_id
WHERE s.token_hash = :token_hash AND s.expires_at > :now
  AND (s.api_key_id IS NULL
       OR k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now) AND 'operator' = ANY (k.scopes))
