-- Options of "Quote currency": those in which the selected exchanges quote the coin.
SELECT DISTINCT quote
FROM watched_instruments
WHERE base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
ORDER BY 1
