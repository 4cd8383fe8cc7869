-- Exchanges with an open gap that is old enough to be asked for.
SELECT DISTINCT w.exchange
FROM gaps g
JOIN watched_instruments w ON w.instrument_id = g.instrument_id
WHERE g.status = 'open' AND g.started_at < :until
ORDER BY w.exchange;
