-- API keys, sessions of operators, rate limits that several servers share, and the audit log.

CREATE TABLE api_keys (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CONSTRAINT api_keys_name_check CHECK (length(name) BETWEEN 1 AND 100),
  scopes text[] NOT NULL CONSTRAINT api_keys_scopes_check CHECK (cardinality(scopes) > 0),
  secret_hash bytea NOT NULL CONSTRAINT api_keys_secret_hash_check CHECK (length(secret_hash) = 32),
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
COMMENT ON COLUMN api_keys.secret_hash IS 'SHA-256 of the secret, which is 256 random bits and is not stored.';
COMMENT ON COLUMN api_keys.expires_at IS 'Null: the key does not expire.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Updated at most once an hour.';

CREATE TABLE operator_sessions (
  token_hash bytea PRIMARY KEY CONSTRAINT operator_sessions_token_hash_check CHECK (length(token_hash) = 32),
  api_key_id bigint REFERENCES api_keys ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
COMMENT ON TABLE operator_sessions IS 'Browsers that are signed in to the operator pages of the standalone app.';
COMMENT ON COLUMN operator_sessions.token_hash IS
  'HMAC-SHA-256 of the cookie''s random token, keyed with COINWATCH_API_TOKEN: changing that ends all sessions.';
COMMENT ON COLUMN operator_sessions.api_key_id IS 'The API key they signed in with; null for COINWATCH_API_TOKEN.';

CREATE TABLE rate_limits (
  what text NOT NULL,
  caller bytea NOT NULL,
  calls timestamptz[] NOT NULL,
  retry_at timestamptz,
  delete_after timestamptz NOT NULL,
  CONSTRAINT rate_limits_pkey PRIMARY KEY (what, caller)
);
COMMENT ON TABLE rate_limits IS 'Recent calls that are limited to protect people, such as requests for emails.';
COMMENT ON COLUMN rate_limits.caller IS 'A keyed hash of who called, such as a network; its address is not stored.';
COMMENT ON COLUMN rate_limits.calls IS 'When the calls that were allowed were made, in ascending order.';
COMMENT ON COLUMN rate_limits.retry_at IS 'When another call is allowed; null if the last one was.';
CREATE INDEX rate_limits_delete_after ON rate_limits (delete_after);

CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  via text NOT NULL CONSTRAINT audit_log_via_check CHECK (via IN ('cli', 'web', 'api')),
  action text NOT NULL CONSTRAINT audit_log_action_check CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
  target text NOT NULL DEFAULT '',
  details jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE audit_log IS 'What operators did. Rows are added and, after COINWATCH_AUDIT_RETENTION_DAYS, deleted; never changed.';
COMMENT ON COLUMN audit_log.actor IS 'An Airflow user, "operator" (COINWATCH_API_TOKEN), "API key 7 (name)", or a user of the machine.';
COMMENT ON COLUMN audit_log.target IS 'What was acted on. Subscribers are named by id, so that erasing them leaves no address here.';
CREATE INDEX audit_log_at ON audit_log (at);
