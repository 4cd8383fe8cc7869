-- The newest prices of one instrument in [start, end), newest first, at most :limit.
SELECT observed_at, price, volume_24h
FROM prices
WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
ORDER BY observed_at DESC
LIMIT :limit;
