-- The stretches one transaction works on; empty again after it.
CREATE TEMPORARY TABLE IF NOT EXISTS taken_stretches (
  instrument_id integer NOT NULL,
  changed candle_resolution,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL
) ON COMMIT DELETE ROWS;
