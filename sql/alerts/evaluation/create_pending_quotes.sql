-- The values that one run evaluates; null for a quote without a 24 h volume.
CREATE TEMPORARY TABLE IF NOT EXISTS pending_quotes (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision
) ON COMMIT DELETE ROWS;
