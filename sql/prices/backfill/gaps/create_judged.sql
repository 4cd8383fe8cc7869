-- What the gaps over those stretches have to be; empty again after the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_gaps (
  instrument_id integer NOT NULL,
  day date NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  status text NOT NULL,
  reason text,
  detected_at timestamptz NOT NULL,
  resolved_at timestamptz
) ON COMMIT DELETE ROWS;
