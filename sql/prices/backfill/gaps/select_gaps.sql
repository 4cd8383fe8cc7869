-- Gaps that end after :since, newest first; exchange, coin and status are optional filters.
SELECT e.code AS exchange, i.base, i.quote, g.day, g.started_at, g.ended_at, g.status, g.reason, g.detected_at, g.resolved_at
FROM gaps g
JOIN instruments i ON i.id = g.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE g.ended_at > :since
  AND (CAST(:exchange AS text) IS NULL OR e.code = lower(CAST(:exchange AS text)))
  AND (CAST(:coin AS text) IS NULL OR lower(CAST(:coin AS text)) IN (lower(c.code), lower(c.name)))
  AND (CAST(:status AS text) IS NULL OR g.status = :status)
ORDER BY g.started_at DESC, e.code, i.base, i.quote;
