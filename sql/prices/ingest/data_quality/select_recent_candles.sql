-- Hourly candles of watched instruments opened since :since; of the hour that is not over, only what is in the future.
SELECT w.exchange, w.pair, c.opened_at, c.open, c.high, c.low, c.close, c.volume, c.trades
FROM watched_instruments w
CROSS JOIN LATERAL (
  SELECT opened_at, open, high, low, close, volume, trades
  FROM candles
  WHERE candles.instrument_id = w.instrument_id AND resolution = '1h' AND opened_at >= :since
    AND (opened_at < :this_hour OR opened_at > :now)
  OFFSET 0
) c
ORDER BY w.exchange, w.pair, c.opened_at;
