-- The values one run judges; a quote without a 24 h volume has none. Empty again after the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_quotes (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision
) ON COMMIT DELETE ROWS;
