CREATE TABLE gap_checks (
  instrument_id integer CONSTRAINT gap_checks_pkey PRIMARY KEY,
  checked_until timestamptz NOT NULL
);
COMMENT ON TABLE gap_checks IS 'How far each instrument has been checked for gaps without a break; the next check continues there.';
