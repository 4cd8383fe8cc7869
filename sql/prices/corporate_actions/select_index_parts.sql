-- The newest index values of a coin.
SELECT s.instrument_id, s.price, s.volume
FROM index_state s
JOIN instruments i ON i.id = s.instrument_id
WHERE i.base = :coin
FOR UPDATE OF s;
