-- Build one-minute candles from our own quotes in the claimed ranges whose prices changed. Overlapping ranges are merged
-- first, so that no quote counts twice. An exchange's candle is kept; one that the index has from those is replaced. Volume stays null: a quote has the volume of
-- 24 hours, not of a minute. A candle made of more quotes than are stored now is kept, too: it was made before the
-- prices of its day were dropped, of which only some have been restored.
WITH ranges AS (
  SELECT instrument_id, unnest(range_agg(tstzrange(
           date_bin('1 minute', first_at, '2000-01-01 00:00+00'),
           date_bin('1 minute', last_at, '2000-01-01 00:00+00') + interval '1 minute'))) AS minutes
  FROM claimed_ranges WHERE changed IS NULL
  GROUP BY instrument_id
)
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, samples, source)
SELECT r.instrument_id, '1m', m.opened_at, m.open, m.high, m.low, m.close, m.samples, 'quotes'
FROM ranges r
CROSS JOIN LATERAL (
  SELECT date_bin('1 minute', observed_at, '2000-01-01 00:00+00') AS opened_at,
         (array_agg(price ORDER BY observed_at))[1] AS open, max(price) AS high, min(price) AS low,
         (array_agg(price ORDER BY observed_at))[count(*)] AS close, count(*) AS samples
  FROM prices
  WHERE prices.instrument_id = r.instrument_id
    AND observed_at >= lower(r.minutes) AND observed_at < upper(r.minutes)
    AND observed_at >= :start AND observed_at < :end
  GROUP BY 1
  OFFSET 0
) m
ORDER BY r.instrument_id, m.opened_at
ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, samples = excluded.samples,
    source = excluded.source
WHERE candles.source <> 'exchange' AND coalesce(candles.samples, 0) <= excluded.samples
  AND (candles.open, candles.high, candles.low, candles.close, candles.samples)
      IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.samples);
