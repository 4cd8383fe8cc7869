-- What each judged value is against its reference, for every kind and window that somebody asked for. turn counts the
-- moves of a kind and window in order of time, from 1.
CREATE TEMPORARY TABLE IF NOT EXISTS moves (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  kind text NOT NULL,
  window_seconds integer NOT NULL,
  turn integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz NOT NULL,
  change_percent double precision NOT NULL
) ON COMMIT DELETE ROWS;
