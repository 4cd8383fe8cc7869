-- The last price in each interval, one series per exchange and pair; NULL for an interval without a price. Reads candles
-- of a matching resolution, so that five years are as fast as a day.
SELECT DISTINCT ON (1, 2)
  $__timeGroupAlias(opened_at, $__interval, NULL), exchange || ' ' || pair AS metric, close AS value
FROM candle_history
WHERE $__timeFilter(opened_at)
  AND resolution = CAST(CASE WHEN $__interval_ms >= 86400000 THEN '1d' WHEN $__interval_ms >= 3600000 THEN '1h' ELSE '1m' END AS candle_resolution)
  AND base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
  AND quote = ANY (ARRAY[${quote:sqlstring}]::text[])
ORDER BY 1, 2, opened_at DESC
