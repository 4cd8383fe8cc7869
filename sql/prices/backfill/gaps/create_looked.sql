-- The stretches one look goes over; empty again after the transaction. What is still empty where there is an answer
-- stays a hole for that reason.
CREATE TEMPORARY TABLE IF NOT EXISTS looked_stretches (
  instrument_id integer NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  tolerance interval NOT NULL,
  answer text
) ON COMMIT DELETE ROWS;
