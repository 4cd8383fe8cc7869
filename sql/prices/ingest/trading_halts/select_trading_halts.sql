-- The instruments of one exchange that it does not trade, as of the last check.
SELECT h.instrument_id, h.status, h.term
FROM trading_halts h
JOIN instruments i ON i.id = h.instrument_id
WHERE i.exchange_id = :exchange_id;
