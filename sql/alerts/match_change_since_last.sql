-- Alerts of the rule change_since_last: |price - previous| / previous >= threshold (percent).
--
-- hits: each judged quote against the subscriptions its change reaches, straight from the index
--       (instrument, kind, direction, threshold); OFFSET 0 keeps the planner from flattening that away.
-- walk: a subscription's hits in order of time, because whether one fires depends on the one before it:
--       after firing it rests for its cooldown, and a rule that fires once is over.
WITH RECURSIVE moves AS (
  SELECT *, 100 * (price - previous_price) / previous_price AS change_percent
  FROM judged_quotes
  WHERE price <> previous_price
), hits AS MATERIALIZED (
  SELECT s.id AS subscription_id, s.repeat, s.cooldown_seconds, s.rests_until, m.observed_at, m.price,
         m.previous_price, m.previous_at, m.change_percent,
         row_number() OVER (PARTITION BY s.id ORDER BY m.observed_at) AS turn
  FROM moves m
  -- A move of exactly the threshold fires, although 0.105 / 0.1 is 4.999999999999996 % to a computer.
  CROSS JOIN LATERAL (SELECT abs(m.change_percent) * (1 + 1e-12) AS reached) r
  CROSS JOIN LATERAL (
    SELECT * FROM subscriptions
    WHERE status = 'active' AND instrument_id = m.instrument_id AND kind = 'change_since_last'
      AND direction = 'either' AND threshold <= r.reached
    UNION ALL
    SELECT * FROM subscriptions
    WHERE status = 'active' AND instrument_id = m.instrument_id AND kind = 'change_since_last'
      AND direction = CASE WHEN m.change_percent > 0 THEN 'up' ELSE 'down' END AND threshold <= r.reached
    OFFSET 0
  ) s
  WHERE s.metric = 'price' AND s.active_from < m.observed_at AND (s.expires_at IS NULL OR s.expires_at > m.observed_at)
), walk AS (
  SELECT hits.*, hits.observed_at >= hits.rests_until AS fires,
         CASE WHEN hits.observed_at >= hits.rests_until THEN hits.observed_at + make_interval(secs => hits.cooldown_seconds)
              ELSE hits.rests_until END AS rest
  FROM hits WHERE turn = 1
  UNION ALL
  SELECT hits.*, hits.observed_at >= walk.rest,
         CASE WHEN hits.observed_at >= walk.rest THEN hits.observed_at + make_interval(secs => hits.cooldown_seconds)
              ELSE walk.rest END
  FROM walk
  JOIN hits ON hits.subscription_id = walk.subscription_id AND hits.turn = walk.turn + 1
  WHERE walk.repeat OR NOT walk.fires
), fired AS (
  INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, created_at)
  SELECT subscription_id, observed_at, price, previous_price, previous_at, change_percent, :now
  FROM walk WHERE fires
  ORDER BY observed_at, subscription_id
  ON CONFLICT ON CONSTRAINT alerts_once DO NOTHING
  RETURNING subscription_id, observed_at
), last_fired AS (
  SELECT subscription_id, max(observed_at) AS observed_at, count(*) AS alerts FROM fired GROUP BY subscription_id
), rested AS (
  UPDATE subscriptions s
  SET rests_until = f.observed_at + make_interval(secs => s.cooldown_seconds),
      status = CASE WHEN s.repeat THEN s.status ELSE 'ended' END
  FROM last_fired f
  WHERE s.id = f.subscription_id
)
SELECT coalesce(sum(alerts), 0)::bigint FROM last_fired;
