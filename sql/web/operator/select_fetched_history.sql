-- The candles requested from each exchange: from when to when, how many, and when the last request was made.
SELECT e.code AS exchange, CAST(f.resolution AS text) AS resolution, count(DISTINCT f.instrument_id) AS instruments,
       min(f.started_at) AS first_at, max(f.ended_at) AS last_at, sum(f.candles) AS candles,
       max(f.requested_at) AS requested_at
FROM candle_fetches f
JOIN instruments i ON i.id = f.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
GROUP BY e.code, f.resolution
ORDER BY e.code, f.resolution
