-- An operator wants to ask once more for what an exchange had nothing of.
DELETE FROM candle_fetches
WHERE instrument_id = ANY (CAST(:instrument_ids AS integer[])) AND outcome = 'unavailable'
  AND started_at < :end AND ended_at > :start;
