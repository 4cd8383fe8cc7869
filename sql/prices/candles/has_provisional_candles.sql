-- Whether any stored candle of one instrument opened in [start, end) was not reported by its exchange, so that a later
-- backfill may still replace it.
SELECT EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
    AND opened_at >= :start AND opened_at < :end AND source <> 'exchange'
);
