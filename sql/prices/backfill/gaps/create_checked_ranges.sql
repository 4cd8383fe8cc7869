-- The time ranges that one check covers; emptied at the end of the transaction. What is still missing in a range with a
-- reason becomes unavailable.
CREATE TEMPORARY TABLE IF NOT EXISTS checked_ranges (
  instrument_id integer NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  tolerance interval NOT NULL,
  reason text
) ON COMMIT DELETE ROWS;
