-- Where a coin (by code or name, any case) is priced, the index left out.
SELECT instrument_id, exchange, exchange_name, base, quote, simulated
FROM watched_instruments
WHERE lower(:coin) IN (lower(base), lower(coin_name)) AND exchange <> 'index'
ORDER BY exchange, quote;
