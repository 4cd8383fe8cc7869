-- The instruments of a coin (on one exchange, or on all and the index) that an action has not been applied to.
SELECT i.id AS instrument_id, e.code AS exchange
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
WHERE i.base = :coin AND (CAST(:exchange AS text) IS NULL OR e.code = :exchange)
  AND NOT EXISTS (SELECT FROM corporate_actions a WHERE a.instrument_id = i.id AND a.effective_at = :effective_at)
ORDER BY i.id;
