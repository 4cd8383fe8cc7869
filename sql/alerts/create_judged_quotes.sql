-- The values one run judges, each beside the one judged before it, counted from 1 in order of time; a quote without a
-- volume has none to judge. Empty again after the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_quotes (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  turn integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision,
  last_value double precision,
  last_at timestamptz
) ON COMMIT DELETE ROWS;
