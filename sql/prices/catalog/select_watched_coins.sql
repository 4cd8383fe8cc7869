-- Watched coins of one exchange.
SELECT DISTINCT i.base FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = :exchange ORDER BY i.base;
