-- Minutes made of our own quotes, for the stretches taken whose prices changed. Overlapping stretches are joined first,
-- so that no quote counts twice. The exchange's own minutes stay. 24 h volumes are not the minute's: volume stays null.
-- A minute never loses quotes: one made of more than are there now was made before the prices of its day were dropped,
-- and stays when a part of them comes back.
WITH stretches AS (
  SELECT instrument_id, unnest(range_agg(tstzrange(
           date_bin('1 minute', first_at, '2000-01-01 00:00+00'),
           date_bin('1 minute', last_at, '2000-01-01 00:00+00') + interval '1 minute'))) AS stretch
  FROM taken_stretches WHERE changed IS NULL
  GROUP BY instrument_id
)
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, samples, source)
SELECT s.instrument_id, '1m', m.opened_at, m.open, m.high, m.low, m.close, m.samples, 'quotes'
FROM stretches s
CROSS JOIN LATERAL (
  SELECT date_bin('1 minute', observed_at, '2000-01-01 00:00+00') AS opened_at,
         (array_agg(price ORDER BY observed_at))[1] AS open, max(price) AS high, min(price) AS low,
         (array_agg(price ORDER BY observed_at))[count(*)] AS close, count(*) AS samples
  FROM prices
  WHERE prices.instrument_id = s.instrument_id
    AND observed_at >= lower(s.stretch) AND observed_at < upper(s.stretch)
    AND observed_at >= :oldest AND observed_at < :newest
  GROUP BY 1
  OFFSET 0
) m
ORDER BY s.instrument_id, m.opened_at
ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, samples = excluded.samples
WHERE candles.source = 'quotes' AND coalesce(candles.samples, 0) <= excluded.samples
  AND (candles.open, candles.high, candles.low, candles.close, candles.samples)
      IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close, excluded.samples);
