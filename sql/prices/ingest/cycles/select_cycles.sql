-- Cycles that started before a time, newest first.
SELECT started_at, finished_at, exchanges, failed, quotes, inserted, rejected, index_prices
FROM cycles
WHERE CAST(:before AS timestamptz) IS NULL OR started_at < :before
ORDER BY started_at DESC
LIMIT :limit
