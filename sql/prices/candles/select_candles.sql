-- Stored candles of one instrument opened in [start, end), oldest first. Only columns of the covering index are read, so
-- years of candles come from a few index pages.
SELECT opened_at, open, high, low, close, volume, CAST(NULL AS integer) AS trades
FROM candles
WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
  AND opened_at >= :start AND opened_at < :end
ORDER BY opened_at;
