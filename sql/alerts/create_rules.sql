-- The kinds and windows that active subscriptions on the judged instruments have.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_rules (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  kind text NOT NULL,
  window_seconds integer NOT NULL
) ON COMMIT DELETE ROWS;
