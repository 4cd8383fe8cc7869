-- What active subscriptions on the judged instruments ask for. bound is the lowest threshold of them: what a move has to
-- reach to fire any.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_rules (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  kind text NOT NULL,
  window_seconds integer NOT NULL,
  armed boolean NOT NULL,
  direction text NOT NULL,
  bound double precision NOT NULL
) ON COMMIT DELETE ROWS;
