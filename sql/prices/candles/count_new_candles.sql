-- The number of keys in the batch that have no candle yet.
SELECT count(*) FROM (SELECT DISTINCT instrument_id, opened_at FROM candle_batch) b
WHERE NOT EXISTS (
  SELECT FROM candles c
  WHERE c.instrument_id = b.instrument_id AND c.resolution = CAST(:resolution AS candle_resolution) AND c.opened_at = b.opened_at
);
