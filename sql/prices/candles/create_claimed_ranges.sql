-- Holds the stale time ranges that a transaction refreshes; emptied when it ends.
CREATE TEMPORARY TABLE IF NOT EXISTS claimed_ranges (
  instrument_id integer NOT NULL,
  changed candle_resolution,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL
) ON COMMIT DELETE ROWS;
