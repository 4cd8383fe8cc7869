-- The values one run judges, each beside the one judged before it; empty again after the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_quotes (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  last_value double precision,
  last_at timestamptz
) ON COMMIT DELETE ROWS;
