-- Moves that meet the conditions of subscriptions, straight from the index (…, armed, direction, threshold): those armed
-- when the run began, and those that some move of the run arms again, from that move on.
--
-- A move of exactly the threshold counts, although 0.105 / 0.1 is 4.999999999999996 % to a computer: hence 1e-12.
-- OFFSET 0 keeps the planner from flattening the look-ups away.
WITH reaches AS (
  SELECT m.*, max(m.turn) OVER (PARTITION BY m.instrument_id, m.metric, m.kind, m.window_seconds) AS turns,
         d.direction, d.change * (1 + 1e-12) AS reached
  FROM moves m
  CROSS JOIN LATERAL (
    VALUES ('either', abs(m.change_percent)), ('up', m.change_percent), ('down', -m.change_percent)
  ) d (direction, change)
  WHERE m.kind <> 'crosses'
), armed_again AS (
  SELECT s.id, min(r.turn) AS turn
  FROM reaches r
  CROSS JOIN LATERAL (
    SELECT id FROM subscriptions
    WHERE status = 'active' AND instrument_id = r.instrument_id AND metric = r.metric AND kind = r.kind
      AND window_seconds = r.window_seconds AND NOT armed AND direction = r.direction AND threshold > r.reached
      AND active_from < r.observed_at
    OFFSET 0
  ) s
  WHERE r.window_seconds > 0
  GROUP BY s.id
), rearmed AS (
  UPDATE subscriptions SET armed = true FROM armed_again WHERE subscriptions.id = armed_again.id
), found AS (
  SELECT s.id, s.active_from, s.expires_at, r.window_seconds > 0 AS standing, r.turn, r.observed_at, r.value, r.reference,
         r.reference_at, r.change_percent, r.turns
  FROM reaches r
  CROSS JOIN LATERAL (
    SELECT id, active_from, expires_at FROM subscriptions
    WHERE status = 'active' AND instrument_id = r.instrument_id AND metric = r.metric AND kind = r.kind
      AND window_seconds = r.window_seconds AND armed AND direction = r.direction AND threshold <= r.reached
    OFFSET 0
  ) s
  WHERE r.reached > 0
  UNION ALL
  SELECT s.id, s.active_from, s.expires_at, true, r.turn, r.observed_at, r.value, r.reference, r.reference_at,
         r.change_percent, r.turns
  FROM armed_again a
  JOIN subscriptions s ON s.id = a.id
  JOIN reaches r ON r.instrument_id = s.instrument_id AND r.metric = s.metric AND r.kind = s.kind
    AND r.window_seconds = s.window_seconds AND r.direction = s.direction
  WHERE r.turn > a.turn AND s.threshold <= r.reached
  UNION ALL
  SELECT s.id, s.active_from, s.expires_at, false, m.turn, m.observed_at, m.value, m.reference, m.reference_at,
         m.change_percent, 0
  FROM moves m
  CROSS JOIN LATERAL (
    SELECT id, active_from, expires_at FROM subscriptions
    WHERE status = 'active' AND instrument_id = m.instrument_id AND metric = m.metric AND kind = 'crosses'
      AND window_seconds = 0 AND armed AND direction = ANY (ARRAY['either', CASE WHEN m.value > m.reference THEN 'up' ELSE 'down' END])
      AND threshold >= least(m.value, m.reference) AND threshold <= greatest(m.value, m.reference)
      AND threshold <> m.reference
    OFFSET 0
  ) s
  WHERE m.kind = 'crosses'
)
INSERT INTO hits (subscription_id, stretch, turn, observed_at, value, reference, reference_at, change_percent, turns)
SELECT id, CASE WHEN standing THEN turn - row_number() OVER (PARTITION BY id ORDER BY turn) ELSE turn END,
       turn, observed_at, value, reference, reference_at, change_percent, turns
FROM found
WHERE active_from < observed_at AND (expires_at IS NULL OR expires_at > observed_at);
