-- Choices of "Quoted in": the currencies in which the chosen exchanges price the coin.
SELECT DISTINCT quote
FROM watched_instruments
WHERE base = ${coin:sqlstring}
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
ORDER BY 1
