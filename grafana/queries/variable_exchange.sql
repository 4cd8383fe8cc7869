-- Choices of "Exchange"; the index is one of them.
SELECT DISTINCT exchange_name AS __text, exchange AS __value
FROM watched_instruments
ORDER BY 1
