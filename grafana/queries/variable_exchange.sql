-- Options of "Exchange", including the index.
SELECT DISTINCT exchange_name AS __text, exchange AS __value
FROM watched_instruments
ORDER BY 1
