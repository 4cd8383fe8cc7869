-- The last price of every interval, one series per exchange and pair; an interval without one is a NULL. From candles of
-- the resolution that fits, so that five years are read as fast as a day.
SELECT DISTINCT ON (1, 2)
  $__timeGroupAlias(opened_at, $__interval, NULL), exchange || ' ' || pair AS metric, close AS value
FROM candle_history
WHERE $__timeFilter(opened_at)
  AND resolution = CAST(CASE WHEN $__interval_ms >= 86400000 THEN '1d' WHEN $__interval_ms >= 3600000 THEN '1h' ELSE '1m' END AS candle_resolution)
  AND base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
  AND quote = ANY (ARRAY[${quote:sqlstring}]::text[])
ORDER BY 1, 2, opened_at DESC
