-- Standing conditions that some move of the run finds false are armed again, and from that move on met like others.
-- OFFSET 0 keeps the planner from flattening the look-ups away; two bounds have it expect few rows, see find_hits.
WITH armed_again AS (
  SELECT s.*, m.lookup_key, min(m.turn) AS turn
  FROM moves m
  CROSS JOIN LATERAL (
    SELECT 'up', sign(m.change_percent) * m.reach
    UNION ALL SELECT 'down', -sign(m.change_percent) * m.reach
    UNION ALL SELECT 'either', m.reach
  ) wanted (direction, reached)
  CROSS JOIN LATERAL (
    SELECT id, direction, threshold, active_from, expires_at, greatest(cooldown_until, snoozed_until) AS ready_at, cooldown_seconds, repeat
    FROM subscriptions
    WHERE status = 'active' AND NOT armed AND lookup_key(instrument_id, metric, kind, window_seconds) = m.lookup_key
      AND direction = wanted.direction AND threshold > wanted.reached AND threshold < 'Infinity'
      AND active_from < m.observed_at
    OFFSET 0
  ) s
  WHERE m.turns > 0
  GROUP BY s.id, s.direction, s.threshold, s.active_from, s.expires_at, s.ready_at, s.cooldown_seconds, s.repeat,
           m.lookup_key
), rearmed AS (
  UPDATE subscriptions SET armed = true FROM armed_again WHERE subscriptions.id = armed_again.id
)
INSERT INTO hits (subscription_id, stretch, turn, turns, observed_at, value, reference, reference_at, change_percent,
                  ready_at, cooldown, repeat)
SELECT a.id, m.turn - row_number() OVER (PARTITION BY a.id ORDER BY m.turn),
       m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent,
       a.ready_at, make_interval(secs => a.cooldown_seconds), a.repeat
FROM armed_again a
JOIN moves m USING (lookup_key)
WHERE m.turn > a.turn AND a.threshold <= m.reach
  AND (a.direction = 'either' OR a.direction = CASE WHEN m.change_percent > 0 THEN 'up' ELSE 'down' END)
  AND a.active_from < m.observed_at AND (a.expires_at IS NULL OR a.expires_at > m.observed_at);
