-- What judged values are against their references, where that may fire somebody's rule; and all of them for rules that
-- wait to be armed again. turn counts all moves of a
-- kind and window in order of time, from 1 to turns. reached is the change in the rule's direction, in percent; a move of
-- exactly the threshold counts, although 0.105 / 0.1 is 4.999999999999996 % to a computer: hence 1e-12 more.
CREATE TEMPORARY TABLE IF NOT EXISTS moves (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  kind text NOT NULL,
  window_seconds integer NOT NULL,
  armed boolean NOT NULL,
  direction text NOT NULL,
  turn integer NOT NULL,
  turns integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz NOT NULL,
  change_percent double precision NOT NULL,
  reached double precision NOT NULL
) ON COMMIT DELETE ROWS;
