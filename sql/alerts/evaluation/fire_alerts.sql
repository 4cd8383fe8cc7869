-- Fires alerts from each subscription's candidates in order of time: the first one, then the first one after the
-- cooldown in a later streak, and so on; with a ladder also one in the same streak that is at least a step further, which
-- is compared with the last step. After its last alert a subscription of a kind that rearms stays disarmed, unless a later
-- change did not satisfy its rule; a ladder continues if no later candidate starts another streak. Subscriptions without
-- anything to remember are not updated. Alerts observed before :late_before are late.
--
-- The next alert is looked up in two branches, so that each reads the primary key from where the last one left off; with
-- one condition for both, the planner reads all candidates for each alert.
WITH RECURSIVE walk AS (
  SELECT c.subscription_id, first.streak, first.position, first.total, first.observed_at, first.value, first.reference,
         first.reference_at, first.change_percent, first.cooldown, first.repeat, first.ladder_percent, first.rises, first.steps,
         CASE WHEN first.steps > 0 THEN step_after(first.step_value, first.steps, first.rises, first.ladder_percent)
              ELSE first.step_value END AS step_value
  FROM (SELECT DISTINCT subscription_id FROM candidates) c
  CROSS JOIN LATERAL (
    SELECT *, CASE WHEN step_only THEN count_steps(step_value, value, rises, ladder_percent) END AS steps FROM candidates
    WHERE candidates.subscription_id = c.subscription_id AND candidates.observed_at >= candidates.ready_at
      AND (NOT step_only OR streak = -1 AND count_steps(step_value, value, rises, ladder_percent) > 0)
    ORDER BY streak, observed_at LIMIT 1
  ) first
  UNION ALL
  SELECT walk.subscription_id, next.streak, next.position, next.total, next.observed_at, next.value, fired.reference,
         fired.reference_at, fired.change_percent, next.cooldown, next.repeat, next.ladder_percent, next.rises, fired.steps,
         fired.step_value
  FROM walk
  CROSS JOIN LATERAL (
    (
      SELECT * FROM candidates
      WHERE walk.ladder_percent IS NOT NULL AND candidates.subscription_id = walk.subscription_id
        AND candidates.streak = walk.streak AND candidates.observed_at > walk.observed_at
        AND candidates.observed_at >= walk.observed_at + walk.cooldown AND candidates.rises = walk.rises
        AND count_steps(walk.step_value, candidates.value, walk.rises, walk.ladder_percent) > 0
      ORDER BY streak, observed_at LIMIT 1
    )
    UNION ALL
    (
      SELECT * FROM candidates
      WHERE candidates.subscription_id = walk.subscription_id AND candidates.streak > walk.streak
        AND candidates.observed_at >= walk.observed_at + walk.cooldown AND NOT candidates.step_only
      ORDER BY streak, observed_at LIMIT 1
    )
    ORDER BY streak LIMIT 1
  ) next
  CROSS JOIN LATERAL (
    SELECT next.reference, next.reference_at, next.change_percent, NULL AS steps, next.step_value
    WHERE next.streak > walk.streak
    UNION ALL
    SELECT walk.step_value, walk.observed_at, 100 * (next.value - walk.step_value) / walk.step_value, further.steps,
           step_after(walk.step_value, further.steps, walk.rises, walk.ladder_percent)
    FROM (SELECT count_steps(walk.step_value, next.value, walk.rises, walk.ladder_percent) AS steps) further
    WHERE next.streak = walk.streak
  ) fired
  WHERE walk.repeat
), fired AS (
  INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, steps, late, created_at)
  SELECT subscription_id, observed_at, value, reference, reference_at, change_percent, steps, observed_at < :late_before, :now
  FROM walk
  ORDER BY observed_at, subscription_id
  ON CONFLICT (subscription_id, observed_at) DO NOTHING
  RETURNING subscription_id
), last_fired AS (
  SELECT DISTINCT ON (subscription_id) * FROM walk ORDER BY subscription_id, observed_at DESC
), rearmed AS (
  SELECT *, total = 0 OR total - position
            > (SELECT count(*) FROM candidates c WHERE c.subscription_id = l.subscription_id AND c.position > l.position) AS armed,
         ladder_percent IS NOT NULL AND NOT EXISTS (
           SELECT FROM candidates c WHERE c.subscription_id = l.subscription_id AND c.streak > l.streak) AS continues
  FROM last_fired l
), updated AS (
  UPDATE subscriptions s
  SET cooldown_until = r.observed_at + r.cooldown,
      status = CASE WHEN r.repeat THEN s.status ELSE 'ended' END,
      armed = r.armed,
      step_value = CASE WHEN r.continues AND (r.total = 0 OR NOT r.armed) THEN r.step_value END,
      step_rises = r.rises, step_at = r.observed_at
  FROM rearmed r
  WHERE s.id = r.subscription_id AND (r.total > 0 OR r.cooldown > interval '0' OR NOT r.repeat OR r.ladder_percent IS NOT NULL)
), ended AS (
  UPDATE subscriptions s SET step_value = NULL
  FROM (
    SELECT subscription_id FROM candidates WHERE ladder_percent IS NOT NULL AND total = 0 AND streak >= 0
    EXCEPT SELECT subscription_id FROM walk
  ) e
  WHERE s.id = e.subscription_id AND s.step_value IS NOT NULL
)
SELECT count(*) FROM fired;
