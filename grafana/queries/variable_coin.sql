-- Options of "Coin".
SELECT DISTINCT coin_name || ' (' || base || ')' AS __text, base AS __value
FROM watched_instruments
ORDER BY 1
