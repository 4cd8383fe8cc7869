-- Watched instruments of one exchange.
SELECT instrument_id, exchange, base, quote, symbol FROM watched_instruments WHERE exchange = :exchange ORDER BY base, quote;
