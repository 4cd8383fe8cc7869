-- The gaps that should be recorded for the checked ranges; emptied at the end of the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS computed_gaps (
  instrument_id integer NOT NULL,
  day date NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  status text NOT NULL,
  reason text,
  detected_at timestamptz NOT NULL,
  resolved_at timestamptz
) ON COMMIT DELETE ROWS;
