-- Watched instruments that their exchange does not trade at present, the longest halt first.
SELECT w.exchange, w.base, w.quote, h.status, h.term, h.since
FROM trading_halts h
JOIN watched_instruments w ON w.instrument_id = h.instrument_id
ORDER BY h.since, w.exchange, w.base, w.quote;
