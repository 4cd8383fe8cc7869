CREATE TABLE sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token_hash bytea NOT NULL CONSTRAINT sessions_token_hash_unique UNIQUE CONSTRAINT sessions_token_hash_check CHECK (length(token_hash) = 32),
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
COMMENT ON TABLE sessions IS 'Browsers in which a subscriber is signed in.';
COMMENT ON COLUMN sessions.token_hash IS 'SHA-256 of the cookie, which has 256 random bits: it can''t be guessed, so no slow hash is needed.';
COMMENT ON COLUMN sessions.last_seen_at IS 'When it was last used, to the hour.';
CREATE INDEX sessions_user_id ON sessions (user_id, created_at);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

CREATE TABLE account_visits (
  user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  last_at timestamptz NOT NULL,
  previous_at timestamptz
);
COMMENT ON TABLE account_visits IS 'When subscribers looked at their alerts: a row of its own, because the evaluation locks users.';
COMMENT ON COLUMN account_visits.last_at IS 'The newest time in the current visit, to a few minutes.';
COMMENT ON COLUMN account_visits.previous_at IS 'The end of the visit before; null during the first one.';
