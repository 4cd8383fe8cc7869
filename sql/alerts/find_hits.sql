-- Moves that meet the conditions of subscriptions, straight from the index (…, armed, direction, threshold): those armed
-- when the run began, and those that some move of the run arms again, from that move on. A look-up for each direction
-- ends at the first threshold that is out of reach. OFFSET 0 keeps the planner from flattening the look-ups away.
WITH armed_again AS (
  SELECT s.*, m.instrument_id, m.metric, m.kind, m.window_seconds, min(m.turn) AS turn
  FROM moves m
  CROSS JOIN LATERAL (
    VALUES ('up', sign(m.change_percent) * m.reach), ('down', -sign(m.change_percent) * m.reach), ('either', m.reach)
  ) wanted (direction, reached)
  CROSS JOIN LATERAL (
    SELECT id, direction, threshold, active_from, expires_at, greatest(rests_until, snoozed_until) AS ready_at, cooldown_seconds, repeat
    FROM subscriptions
    WHERE status = 'active' AND kind = m.kind AND window_seconds = m.window_seconds AND instrument_id = m.instrument_id
      AND metric = m.metric AND NOT armed AND direction = wanted.direction AND threshold > wanted.reached
      AND active_from < m.observed_at
    OFFSET 0
  ) s
  WHERE m.turns > 0
  GROUP BY s.id, s.direction, s.threshold, s.active_from, s.expires_at, s.ready_at, s.cooldown_seconds, s.repeat,
           m.instrument_id, m.metric, m.kind, m.window_seconds
), rearmed AS (
  UPDATE subscriptions SET armed = true FROM armed_again WHERE subscriptions.id = armed_again.id
), found AS (
  SELECT s.*, m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent
  FROM moves m
  CROSS JOIN LATERAL (VALUES (CASE WHEN m.change_percent > 0 THEN 'up' ELSE 'down' END), ('either')) met (direction)
  CROSS JOIN LATERAL (
    SELECT id, active_from, expires_at, greatest(rests_until, snoozed_until) AS ready_at, cooldown_seconds, repeat
    FROM subscriptions
    WHERE status = 'active' AND kind = m.kind AND window_seconds = m.window_seconds AND instrument_id = m.instrument_id
      AND metric = m.metric AND armed AND direction = met.direction AND threshold <= m.reach
    OFFSET 0
  ) s
  WHERE m.kind <> 'crosses'
  UNION ALL
  SELECT s.*, m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent
  FROM moves m
  CROSS JOIN LATERAL (VALUES (CASE WHEN m.change_percent > 0 THEN 'up' ELSE 'down' END), ('either')) met (direction)
  CROSS JOIN LATERAL (
    SELECT id, active_from, expires_at, greatest(rests_until, snoozed_until) AS ready_at, cooldown_seconds, repeat
    FROM subscriptions
    WHERE status = 'active' AND kind = 'crosses' AND window_seconds = 0 AND instrument_id = m.instrument_id
      AND metric = m.metric AND armed AND direction = met.direction
      AND threshold >= least(m.value, m.reference) AND threshold <= greatest(m.value, m.reference)
      AND threshold <> m.reference
    OFFSET 0
  ) s
  WHERE m.kind = 'crosses'
  UNION ALL
  SELECT a.id, a.active_from, a.expires_at, a.ready_at, a.cooldown_seconds, a.repeat,
         m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent
  FROM armed_again a
  JOIN moves m ON m.instrument_id = a.instrument_id AND m.metric = a.metric AND m.kind = a.kind
    AND m.window_seconds = a.window_seconds
  WHERE m.turn > a.turn AND a.threshold <= m.reach
    AND (a.direction = 'either' OR a.direction = CASE WHEN m.change_percent > 0 THEN 'up' ELSE 'down' END)
)
INSERT INTO hits (subscription_id, stretch, turn, turns, observed_at, value, reference, reference_at, change_percent,
                  ready_at, cooldown, repeat)
SELECT id, CASE WHEN turns > 0 THEN turn - row_number() OVER (PARTITION BY id ORDER BY turn) ELSE turn END,
       turn, turns, observed_at, value, reference, reference_at, change_percent,
       ready_at, make_interval(secs => cooldown_seconds), repeat
FROM found
WHERE active_from < observed_at AND (expires_at IS NULL OR expires_at > observed_at);
