-- Between which moments quotes lie that nobody has judged; no row where there are none. Given to the next statement as
-- parameters, so that it is planned with the partitions it needs and no others.
SELECT min(m.evaluated_to) AS oldest, max(l.observed_at) AS newest
FROM evaluation_watermarks m
JOIN latest_quotes l ON l.instrument_id = m.instrument_id
WHERE l.observed_at > m.evaluated_to
HAVING count(*) > 0;
