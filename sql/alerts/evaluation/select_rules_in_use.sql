-- The kinds and windows of the active subscriptions, found with a skip scan of the index. Up to :max_rules
-- subscriptions of a kind and window, also their instruments, metrics, and lowest and highest threshold; beyond that,
-- these are null and every change is looked up; so is it if one has a ladder. any_disarmed: whether any subscription is disarmed; any_ladders: whether any has a ladder; oldest and
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
SELECT u.kind, u.window_seconds, few.*, pending.*, EXISTS (SELECT FROM subscriptions WHERE status = 'active' AND NOT armed) AS any_disarmed,
       EXISTS (
         SELECT FROM subscriptions
         WHERE status = 'active' AND ladder_percent IS NOT NULL AND kind = u.kind AND window_seconds = u.window_seconds
       ) AS any_ladders
FROM in_use u
CROSS JOIN (SELECT min(observed_at) AS oldest, max(observed_at) AS newest FROM pending_quotes) pending
CROSS JOIN LATERAL (
  SELECT array_agg(DISTINCT instrument_id) AS instruments, array_agg(DISTINCT metric) AS metrics,
         CASE WHEN bool_and(armed) AND count(ladder_percent) = 0 THEN min(threshold) ELSE 0 END AS lowest,
         CASE WHEN count(ladder_percent) = 0 THEN coalesce(max(threshold), 'Infinity') ELSE 'Infinity' END AS highest
  FROM subscriptions
  WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
    AND NOT EXISTS (
      SELECT FROM subscriptions
      WHERE status = 'active' AND kind = u.kind AND window_seconds = u.window_seconds
      OFFSET CAST(:max_rules AS integer)
    )
) few;
