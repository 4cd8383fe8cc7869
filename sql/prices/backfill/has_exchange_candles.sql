-- Whether candles fetched from the exchange are stored in a time range.
SELECT EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
    AND opened_at >= :start AND opened_at < :end AND source = 'exchange'
);
