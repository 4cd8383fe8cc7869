-- Open gaps of one exchange's watched instruments, as far as they lie before :until, the newest first.
SELECT g.instrument_id, w.base || '/' || w.quote AS pair, g.started_at, least(g.ended_at, :until) AS ended_at, g.detected_at
FROM gaps g
JOIN watched_instruments w ON w.instrument_id = g.instrument_id
WHERE g.status = 'open' AND w.exchange = :exchange AND g.started_at < :until
ORDER BY g.started_at DESC, g.instrument_id;
