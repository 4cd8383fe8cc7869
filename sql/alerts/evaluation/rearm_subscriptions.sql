-- Rearms disarmed subscriptions whose condition is false for a change of this run; later changes that satisfy it are
-- candidates. OFFSET 0 keeps the planner from flattening the subqueries; with two bounds on threshold it expects few
-- rows, see find_candidates.
WITH rearmable AS (
  SELECT s.*, c.lookup_key, min(c.position) AS position
  FROM changes c
  CROSS JOIN LATERAL (
    SELECT 'up', sign(c.change_percent) * c.reach
    UNION ALL SELECT 'down', -sign(c.change_percent) * c.reach
    UNION ALL SELECT 'either', c.reach
  ) rearms (direction, above)
  CROSS JOIN LATERAL (
    SELECT id, direction, threshold, active_from, expires_at, greatest(cooldown_until, snoozed_until) AS ready_at, cooldown_seconds, repeat, ladder_percent
    FROM subscriptions
    WHERE status = 'active' AND NOT armed AND lookup_key(instrument_id, metric, kind, window_seconds) = c.lookup_key
      AND direction = rearms.direction AND threshold > rearms.above AND threshold < 'Infinity'
      AND active_from < c.observed_at
    OFFSET 0
  ) s
  WHERE c.total > 0
  GROUP BY s.id, s.direction, s.threshold, s.active_from, s.expires_at, s.ready_at, s.cooldown_seconds, s.repeat,
           s.ladder_percent, c.lookup_key
), rearmed AS (
  UPDATE subscriptions SET armed = true, step_value = NULL FROM rearmable WHERE subscriptions.id = rearmable.id
)
INSERT INTO candidates (subscription_id, streak, position, total, observed_at, value, reference, reference_at,
                        change_percent, ready_at, cooldown, repeat, ladder_percent, rises, step_only, step_value)
SELECT r.id, c.position - row_number() OVER (PARTITION BY r.id ORDER BY c.position),
       c.position, c.total, c.observed_at, c.value, c.reference, c.reference_at, c.change_percent,
       r.ready_at, make_interval(secs => r.cooldown_seconds), r.repeat, r.ladder_percent, c.change_percent > 0, false, c.value
FROM rearmable r
JOIN changes c USING (lookup_key)
WHERE c.position > r.position AND r.threshold <= c.reach
  AND (r.direction = 'either' OR r.direction = CASE WHEN c.change_percent > 0 THEN 'up' ELSE 'down' END)
  AND r.active_from < c.observed_at AND (r.expires_at IS NULL OR r.expires_at > c.observed_at);
