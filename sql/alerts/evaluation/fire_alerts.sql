-- Fires alerts from each subscription's candidates in order of time: the first one, then the first one after the
-- cooldown in a later streak, and so on. After its last alert a subscription of a kind that rearms stays disarmed,
-- unless a later change did not satisfy its rule. Subscriptions without anything to remember are not updated. Alerts
-- observed before :late_before are late.
WITH RECURSIVE walk AS (
  SELECT first.*
  FROM (SELECT DISTINCT subscription_id FROM candidates) c
  CROSS JOIN LATERAL (
    SELECT * FROM candidates
    WHERE candidates.subscription_id = c.subscription_id AND candidates.observed_at >= candidates.ready_at
    ORDER BY streak, observed_at LIMIT 1
  ) first
  UNION ALL
  SELECT next.*
  FROM walk
  CROSS JOIN LATERAL (
    SELECT * FROM candidates
    WHERE candidates.subscription_id = walk.subscription_id AND candidates.streak > walk.streak
      AND candidates.observed_at >= walk.observed_at + walk.cooldown
    ORDER BY streak, observed_at LIMIT 1
  ) next
  WHERE walk.repeat
), fired AS (
  INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, late, created_at)
  SELECT subscription_id, observed_at, value, reference, reference_at, change_percent, observed_at < :late_before, :now
  FROM walk
  ORDER BY observed_at, subscription_id
  ON CONFLICT (subscription_id, observed_at) DO NOTHING
  RETURNING subscription_id
), last_fired AS (
  SELECT DISTINCT ON (subscription_id) * FROM walk ORDER BY subscription_id, observed_at DESC
), updated AS (
  UPDATE subscriptions s
  SET cooldown_until = l.observed_at + l.cooldown,
      status = CASE WHEN l.repeat THEN s.status ELSE 'ended' END,
      armed = l.total = 0
              OR l.total - l.position
                 > (SELECT count(*) FROM candidates c WHERE c.subscription_id = l.subscription_id AND c.position > l.position)
  FROM last_fired l
  WHERE s.id = l.subscription_id AND (l.total > 0 OR l.cooldown > interval '0' OR NOT l.repeat)
)
SELECT count(*) FROM fired;
