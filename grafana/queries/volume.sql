-- The last rolling 24-hour volume in each interval, in units of the coin. Exchanges that report none are left out.
SELECT DISTINCT ON (1, 2)
  $__timeGroupAlias(observed_at, $__interval, NULL), exchange || ' ' || pair AS metric, volume_24h AS value
FROM price_history
WHERE $__timeFilter(observed_at)
  AND volume_24h IS NOT NULL
  AND base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
  AND quote = ANY (ARRAY[${quote:sqlstring}]::text[])
ORDER BY 1, 2, observed_at DESC
