-- The time range of the pending quotes; no row if there are none. The next statement takes it as parameters, so that it
-- is planned for the partitions it needs.
SELECT min(w.evaluated_to) AS oldest, max(l.observed_at) AS newest
FROM evaluation_watermarks w
JOIN latest_quotes l ON l.instrument_id = w.instrument_id
WHERE l.observed_at > w.evaluated_to
HAVING count(*) > 0;
