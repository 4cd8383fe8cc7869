-- Deletes the candles that contain prices in both units, and has the coarser ones computed again from the finer.
WITH mixed AS (
  DELETE FROM candles
  WHERE instrument_id = :instrument_id AND opened_at < :effective_at
    AND opened_at + CASE resolution WHEN '1m' THEN interval '1 minute' WHEN '1h' THEN interval '1 hour' ELSE interval '1 day' END > :effective_at
  RETURNING instrument_id
)
INSERT INTO stale_candles (instrument_id, first_at, last_at)
SELECT DISTINCT instrument_id, date_trunc('day', CAST(:effective_at AS timestamptz)), CAST(:effective_at AS timestamptz) FROM mixed;
