-- What judged values are against their references, for the kinds and windows that somebody has, without those that can
-- concern nobody. turn counts all moves of a kind and window in order of time; turns is their number for standing conditions, else 0.
-- reach is the size of the change in percent; a move of exactly the threshold counts, although 0.105 / 0.1 is
-- 4.999999999999996 % to a computer: hence 1e-12 more.
CREATE TEMPORARY TABLE IF NOT EXISTS moves (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  kind text NOT NULL,
  window_seconds integer NOT NULL,
  turn integer NOT NULL,
  turns integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz NOT NULL,
  change_percent double precision NOT NULL,
  reach double precision GENERATED ALWAYS AS ((1 + 1e-12) * abs(change_percent)) STORED,
  lookup_key bigint GENERATED ALWAYS AS (lookup_key(instrument_id, metric, kind, window_seconds)) STORED
) ON COMMIT DELETE ROWS;
