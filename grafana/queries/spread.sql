-- Difference between best ask and best bid in percent of their midpoint: the mean of each interval.
SELECT $__timeGroupAlias(observed_at, $__interval, NULL), exchange || ' ' || pair AS metric,
  avg(200 * (ask - bid) / (ask + bid)) AS value
FROM price_history
WHERE $__timeFilter(observed_at)
  AND bid IS NOT NULL
  AND ask IS NOT NULL
  AND base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
  AND quote = ANY (ARRAY[${quote:sqlstring}]::text[])
GROUP BY 1, 2
ORDER BY 1, 2
