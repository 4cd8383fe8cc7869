-- One exchange's candles opened in [start, end), in a fixed order, read by instrument through the primary key.
SELECT i.base, i.quote, c.opened_at, c.open, c.high, c.low, c.close, c.volume, c.trades, c.samples, c.source
FROM exchanges e
JOIN instruments i ON i.exchange_id = e.id
CROSS JOIN LATERAL (
  SELECT opened_at, open, high, low, close, volume, trades, samples, source
  FROM candles
  WHERE candles.instrument_id = i.id AND resolution = CAST(:resolution AS candle_resolution)
    AND opened_at >= CAST(:start AS timestamptz) AND opened_at < CAST(:end AS timestamptz)
  OFFSET 0
) c
WHERE e.code = :exchange
ORDER BY i.base COLLATE "C", i.quote COLLATE "C", c.opened_at;
