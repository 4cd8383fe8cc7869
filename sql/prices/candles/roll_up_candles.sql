-- Aggregate the finer candles in the claimed ranges into coarser ones; an exchange's own coarser candle is kept. Volume and
-- trades are null unless every finer candle has them. Sums are in order of time, so that the same finer candles always
-- give the same bits.
WITH ranges AS (
  SELECT instrument_id, unnest(range_agg(tstzrange(
           date_bin(:width, first_at, '2000-01-01 00:00+00'),
           date_bin(:width, last_at, '2000-01-01 00:00+00') + :width))) AS bounds
  FROM claimed_ranges WHERE changed IS NULL OR changed <= CAST(:finer AS candle_resolution)
  GROUP BY instrument_id
)
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, trades, samples, source)
SELECT r.instrument_id, CAST(:coarser AS candle_resolution), c.opened_at, c.open, c.high, c.low, c.close, c.volume,
       c.trades, c.samples, c.source
FROM ranges r
CROSS JOIN LATERAL (
  SELECT date_bin(:width, opened_at, '2000-01-01 00:00+00') AS opened_at,
         (array_agg(open ORDER BY opened_at))[1] AS open, max(high) AS high, min(low) AS low,
         (array_agg(close ORDER BY opened_at))[count(*)] AS close,
         CASE WHEN count(volume) = count(*) THEN sum(volume ORDER BY opened_at) END AS volume,
         CASE WHEN count(trades) = count(*) THEN sum(trades) END AS trades,
         sum(samples) AS samples,
         CASE WHEN min(source) = 'quotes' THEN min(source) ELSE 'rollup' END AS source
  FROM candles
  WHERE candles.instrument_id = r.instrument_id AND resolution = CAST(:finer AS candle_resolution)
    AND opened_at >= lower(r.bounds) AND opened_at < upper(r.bounds)
  GROUP BY 1
  OFFSET 0
) c
ORDER BY r.instrument_id, c.opened_at
ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume,
    trades = excluded.trades, samples = excluded.samples, source = excluded.source
WHERE candles.source <> 'exchange'
  AND (candles.open, candles.high, candles.low, candles.close, candles.volume, candles.trades, candles.samples, candles.source)
      IS DISTINCT FROM
      (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades, excluded.samples, excluded.source);
