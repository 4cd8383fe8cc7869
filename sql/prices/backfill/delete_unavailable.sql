-- Delete the records of unavailable ranges, so that the next backfill requests them again.
DELETE FROM candle_fetches
WHERE instrument_id = ANY (CAST(:instrument_ids AS integer[])) AND outcome = 'unavailable'
  AND started_at < :end AND ended_at > :start;
