-- Open gaps of watched instruments of one exchange (null: all), the parts before :until, newest first.
SELECT g.instrument_id, w.exchange, w.base || '/' || w.quote AS pair, g.started_at, least(g.ended_at, :until) AS ended_at,
       g.detected_at
FROM gaps g
JOIN watched_instruments w ON w.instrument_id = g.instrument_id
WHERE g.status = 'open' AND g.started_at < :until AND (CAST(:exchange AS text) IS NULL OR w.exchange = :exchange)
ORDER BY g.started_at DESC, g.instrument_id;
