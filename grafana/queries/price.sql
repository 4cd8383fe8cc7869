-- The last price of every interval, one series per exchange and pair; an interval without one is a NULL.
SELECT DISTINCT ON (1, 2)
  $__timeGroupAlias(observed_at, $__interval, NULL), exchange || ' ' || pair AS metric, price AS value
FROM price_history
WHERE $__timeFilter(observed_at)
  AND base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
  AND quote = ANY (ARRAY[${quote:sqlstring}]::text[])
ORDER BY 1, 2, observed_at DESC
