-- The watched instruments of these exchanges whose history has not been fetched for :days, except those that failed since
-- :retry_before.
SELECT w.exchange, w.instrument_id, w.pair
FROM watched_instruments w
JOIN history_backfills h ON h.instrument_id = w.instrument_id
WHERE w.exchange = ANY (CAST(:exchanges AS text[])) AND (h.completed_days IS NULL OR h.completed_days < :days)
  AND (h.failed_at IS NULL OR h.failed_at < :retry_before)
ORDER BY w.exchange, w.instrument_id;
