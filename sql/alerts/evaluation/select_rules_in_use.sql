-- The kinds and windows of the active subscriptions, found with a skip scan of the index. Up to :max_rules
-- subscriptions of a kind and window, also their instruments and their lowest and highest threshold; beyond that,
-- instruments is null and every change is looked up. any_disarmed: whether any subscription is disarmed; oldest and
-- newest: the range of the pending quotes.
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
SELECT u.kind, u.window_seconds, few.*, pending.*, EXISTS (SELECT FROM subscriptions WHERE status = 'active' AND NOT armed) AS any_disarmed
FROM in_use u
CROSS JOIN (SELECT min(observed_at) AS oldest, max(observed_at) AS newest FROM pending_quotes) pending
CROSS JOIN LATERAL (
  SELECT array_agg(DISTINCT instrument_id) AS instruments, CASE WHEN bool_and(armed) THEN min(threshold) ELSE 0 END AS lowest,
         coalesce(max(threshold), 'Infinity') AS highest
  FROM subscriptions
  WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
    AND NOT EXISTS (
      SELECT FROM subscriptions
      WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
      OFFSET CAST(:max_rules AS integer)
    )
) few;
