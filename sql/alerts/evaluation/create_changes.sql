-- Changes of pending values compared with their references, for the kinds and windows in use, without those that
-- satisfy no rule. position numbers all changes of a kind and window in order of time; total is their number for kinds
-- that rearm, else 0. reach is the largest threshold that the change satisfies: its size in percent, times 1 + 1e-12,
-- because a change of exactly the threshold counts although 0.105 / 0.1 is 4.999999999999996% in floating point.
CREATE TEMPORARY TABLE IF NOT EXISTS changes (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  kind text NOT NULL,
  window_seconds integer NOT NULL,
  position integer NOT NULL,
  total integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz NOT NULL,
  change_percent double precision NOT NULL,
  reach double precision GENERATED ALWAYS AS ((1 + 1e-12) * abs(change_percent)) STORED,
  lookup_key bigint GENERATED ALWAYS AS (lookup_key(instrument_id, metric, kind, window_seconds)) STORED
) ON COMMIT DELETE ROWS;
