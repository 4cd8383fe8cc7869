-- All exchanges and the index, with the number of instruments that are watched there and how fetching goes.
SELECT e.code, e.name, e.enabled, e.simulated, count(w.instrument_id) AS instruments, s.last_success_at,
       coalesce(s.failures, 0) AS failures
FROM exchanges e
LEFT JOIN exchange_status s ON s.exchange_id = e.id
LEFT JOIN watched_instruments w ON w.exchange = e.code
GROUP BY e.code, e.name, e.enabled, e.simulated, s.last_success_at, s.failures
ORDER BY e.code <> 'index', e.code;
