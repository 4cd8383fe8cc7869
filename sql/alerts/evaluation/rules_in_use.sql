-- The kinds and windows that active subscriptions have, from one to the next along the index. Of :few at most it says
-- on which instruments, and between which thresholds; of more it does not (null), and every move is looked up. With
-- whether anybody's rule waits to be armed again, and the first and the last moment that is judged.
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
SELECT u.kind, u.window_seconds, few.*, judged.*, EXISTS (SELECT FROM subscriptions WHERE status = 'active' AND NOT armed) AS any_disarmed
FROM in_use u
CROSS JOIN (SELECT min(observed_at) AS oldest, max(observed_at) AS newest FROM judged_quotes) judged
CROSS JOIN LATERAL (
  SELECT array_agg(DISTINCT instrument_id) AS instruments, CASE WHEN bool_and(armed) THEN min(threshold) ELSE 0 END AS lowest,
         coalesce(max(threshold), 'Infinity') AS highest
  FROM subscriptions
  WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
    AND NOT EXISTS (
      SELECT FROM subscriptions
      WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
      OFFSET CAST(:few AS integer)
    )
) few;
