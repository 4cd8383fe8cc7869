-- The watched instruments of a coin (by code or name, ignoring case) on all exchanges except the index.
SELECT instrument_id, exchange, exchange_name, base, quote, simulated, aggregator
FROM watched_instruments
WHERE lower(:coin) IN (lower(base), lower(coin_name)) AND exchange <> 'index'
ORDER BY exchange, quote;
