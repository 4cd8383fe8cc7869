-- Seconds from the newest price of any real exchange to the end of the time range.
SELECT extract(epoch FROM $__timeTo()::timestamptz - max(p.observed_at))::double precision AS "Age"
FROM watched_instruments w
CROSS JOIN LATERAL (
  SELECT h.observed_at
  FROM price_history h
  WHERE h.instrument_id = w.instrument_id AND h.observed_at <= $__timeTo()
  ORDER BY h.observed_at DESC
  LIMIT 1
) p
WHERE w.exchange <> 'index'
HAVING count(*) > 0
