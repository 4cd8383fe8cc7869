-- When the last stored candle of one instrument before a time opened; null if there is none.
SELECT max(opened_at)
FROM candles
WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution) AND opened_at < :before;
