-- Counts a call, unless the caller has reached one of the limits: up to counts[i] calls in any periods[i]. Returns when
-- another call is allowed, or null if this one is. The row is locked, so that concurrent calls are counted one by one.
INSERT INTO rate_limits AS r (what, caller, calls, delete_after)
VALUES (:what, :caller, ARRAY[CAST(:now AS timestamptz)], :delete_after)
ON CONFLICT (what, caller) DO UPDATE SET (calls, retry_at, delete_after) = (
  SELECT CASE WHEN reached.until IS NULL THEN recent.calls || excluded.calls ELSE recent.calls END,
         reached.until, excluded.delete_after
  FROM (
    SELECT ARRAY(SELECT called_at FROM unnest(r.calls) AS u (called_at)
                 WHERE called_at > :now - CAST(:longest AS interval) ORDER BY called_at) AS calls
  ) AS recent
  CROSS JOIN LATERAL (
    SELECT max(recent.calls[cardinality(recent.calls) - l.count + 1] + l.period) AS until
    FROM unnest(CAST(:counts AS integer[]), CAST(:periods AS interval[])) AS l (count, period)
    WHERE recent.calls[cardinality(recent.calls) - l.count + 1] > :now - l.period
  ) AS reached
)
RETURNING retry_at
