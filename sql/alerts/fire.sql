-- Of each subscription's hits those that fire, in order of time: the first one, then the first one after the cooldown in
-- a later stretch, and so on. After its last alert a standing condition stays disarmed unless a move after it was
-- false. An alert observed before :missed_before comes too late to be news.
WITH RECURSIVE hit_by AS (
  SELECT DISTINCT subscription_id FROM hits
), walk AS (
  SELECT s.id, s.repeat, s.cooldown_seconds, h.*
  FROM hit_by
  JOIN subscriptions s ON s.id = hit_by.subscription_id
  CROSS JOIN LATERAL (
    SELECT stretch, turn, observed_at, value, reference, reference_at, change_percent, turns FROM hits
    WHERE hits.subscription_id = s.id AND hits.observed_at >= greatest(s.rests_until, s.snoozed_until)
    ORDER BY stretch, observed_at LIMIT 1
  ) h
  UNION ALL
  SELECT walk.id, walk.repeat, walk.cooldown_seconds, h.*
  FROM walk
  CROSS JOIN LATERAL (
    SELECT stretch, turn, observed_at, value, reference, reference_at, change_percent, turns FROM hits
    WHERE hits.subscription_id = walk.id AND hits.stretch > walk.stretch
      AND hits.observed_at >= walk.observed_at + make_interval(secs => walk.cooldown_seconds)
    ORDER BY stretch, observed_at LIMIT 1
  ) h
  WHERE walk.repeat
), fired AS (
  INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, missed, created_at)
  SELECT id, observed_at, value, reference, reference_at, change_percent, observed_at < :missed_before, :now
  FROM walk
  ORDER BY observed_at, id
  ON CONFLICT (subscription_id, observed_at) DO NOTHING
  RETURNING subscription_id
), last_fired AS (
  SELECT DISTINCT ON (id) id, turn, observed_at, turns FROM walk ORDER BY id, observed_at DESC
), rested AS (
  UPDATE subscriptions s
  SET rests_until = l.observed_at + make_interval(secs => s.cooldown_seconds),
      status = CASE WHEN s.repeat THEN s.status ELSE 'ended' END,
      armed = s.window_seconds = 0
              OR l.turns - l.turn > (SELECT count(*) FROM hits WHERE hits.subscription_id = l.id AND hits.turn > l.turn)
  FROM last_fired l
  WHERE s.id = l.id
)
SELECT count(*) FROM fired;
