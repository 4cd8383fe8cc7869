-- Gaps that end after a time, by instrument, status and reason: number, minutes and the newest; most minutes first.
SELECT e.code AS exchange, i.base || '/' || i.quote AS pair, g.status, g.reason, count(*) AS gaps,
       CAST(sum(extract(epoch FROM g.ended_at - g.started_at)) / 60 AS bigint) AS minutes, max(g.ended_at) AS newest_at
FROM gaps g
JOIN instruments i ON i.id = g.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE g.ended_at > :since
GROUP BY e.code, i.base, i.quote, g.status, g.reason
ORDER BY g.status <> 'open', minutes DESC, 1, 2
LIMIT :limit
