-- Whether the exchange gave candles for a stretch before.
SELECT EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
    AND opened_at >= :start AND opened_at < :end AND source = 'exchange'
);
