-- Of each subscription's hits those that fire, in order of time: the first one, then the first one after the cooldown in
-- a later stretch, and so on. After its last alert a standing condition stays disarmed unless a move after it was
-- false; where nothing rests, nothing is written. An alert observed before :late_before comes too late to be news.
WITH RECURSIVE walk AS (
  SELECT first.*
  FROM (SELECT DISTINCT subscription_id FROM hits) hit
  CROSS JOIN LATERAL (
    SELECT * FROM hits
    WHERE hits.subscription_id = hit.subscription_id AND hits.observed_at >= hits.ready_at
    ORDER BY stretch, observed_at LIMIT 1
  ) first
  UNION ALL
  SELECT next.*
  FROM walk
  CROSS JOIN LATERAL (
    SELECT * FROM hits
    WHERE hits.subscription_id = walk.subscription_id AND hits.stretch > walk.stretch
      AND hits.observed_at >= walk.observed_at + walk.cooldown
    ORDER BY stretch, observed_at LIMIT 1
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
), rested AS (
  UPDATE subscriptions s
  SET cooldown_until = l.observed_at + l.cooldown,
      status = CASE WHEN l.repeat THEN s.status ELSE 'ended' END,
      armed = l.turns = 0
              OR l.turns - l.turn > (SELECT count(*) FROM hits WHERE hits.subscription_id = l.subscription_id AND hits.turn > l.turn)
  FROM last_fired l
  WHERE s.id = l.subscription_id AND (l.turns > 0 OR l.cooldown > interval '0' OR NOT l.repeat)
)
SELECT count(*) FROM fired;
