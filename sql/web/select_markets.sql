-- Where each coin has prices, for the choices in forms: by coin, the index before the exchanges.
SELECT exchange, exchange_name, base, coin_name, quote, simulated
FROM watched_instruments
WHERE CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(base), lower(coin_name))
ORDER BY base, exchange <> 'index', exchange_name, quote;
