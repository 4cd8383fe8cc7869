-- The kinds and windows that active subscriptions have, from one to the next along the index. Of fewer than :few it says
-- on which instruments, and between which thresholds; of more it does not (null), and every move is looked up. With
-- whether any waits to be armed again, and the first and the last moment that is judged.
WITH RECURSIVE in_use AS (
  (SELECT kind, window_seconds FROM subscriptions WHERE status = 'active' ORDER BY kind, window_seconds LIMIT 1)
  UNION ALL
  SELECT next.*
  FROM in_use u
  CROSS JOIN LATERAL (
    SELECT kind, window_seconds FROM subscriptions
    WHERE status = 'active' AND (kind, window_seconds) > (u.kind, u.window_seconds)
    ORDER BY kind, window_seconds LIMIT 1
  ) next
)
SELECT u.kind, u.window_seconds, few.*, judged.*,
       EXISTS (
         SELECT FROM subscriptions
         WHERE status = 'active' AND NOT armed AND kind = u.kind AND window_seconds = u.window_seconds
       ) AS any_disarmed
FROM in_use u
CROSS JOIN (SELECT min(observed_at) AS oldest, max(observed_at) AS newest FROM judged_quotes) judged
CROSS JOIN LATERAL (
  SELECT CASE WHEN count(*) < :few THEN array_agg(DISTINCT instrument_id) END AS instruments,
         CASE WHEN count(*) < :few AND bool_and(armed) THEN min(threshold) ELSE 0 END AS lowest,
         CASE WHEN count(*) < :few THEN max(threshold) ELSE 'Infinity' END AS highest
  FROM (
    SELECT instrument_id, armed, threshold FROM subscriptions
    WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
    LIMIT :few
  ) first_few
) few;
