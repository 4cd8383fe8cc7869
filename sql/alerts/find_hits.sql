-- Moves that meet the conditions of subscriptions, straight from the index (…, armed, direction, threshold): those armed
-- when the run began, and those that some move of the run arms again, from that move on. OFFSET 0 keeps the planner from
-- flattening the look-ups away.
WITH armed_again AS (
  SELECT s.id, min(m.turn) AS turn
  FROM moves m
  CROSS JOIN LATERAL (
    SELECT id FROM subscriptions
    WHERE status = 'active' AND instrument_id = m.instrument_id AND metric = m.metric AND kind = m.kind
      AND window_seconds = m.window_seconds AND NOT armed AND direction = m.direction AND threshold > m.reached
      AND active_from < m.observed_at
    OFFSET 0
  ) s
  WHERE NOT m.armed
  GROUP BY s.id
), rearmed AS (
  UPDATE subscriptions SET armed = true FROM armed_again WHERE subscriptions.id = armed_again.id
), found AS (
  SELECT s.id, s.active_from, s.expires_at, m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent
  FROM moves m
  CROSS JOIN LATERAL (
    SELECT id, active_from, expires_at FROM subscriptions
    WHERE status = 'active' AND instrument_id = m.instrument_id AND metric = m.metric AND kind = m.kind
      AND window_seconds = m.window_seconds AND armed AND direction = m.direction AND threshold <= m.reached
    OFFSET 0
  ) s
  WHERE m.armed AND m.kind <> 'crosses'
  UNION ALL
  SELECT s.id, s.active_from, s.expires_at, m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent
  FROM moves m
  CROSS JOIN LATERAL (
    SELECT id, active_from, expires_at FROM subscriptions
    WHERE status = 'active' AND instrument_id = m.instrument_id AND metric = m.metric AND kind = 'crosses'
      AND window_seconds = 0 AND armed AND direction = m.direction
      AND threshold >= least(m.value, m.reference) AND threshold <= greatest(m.value, m.reference)
      AND threshold <> m.reference
    OFFSET 0
  ) s
  WHERE m.kind = 'crosses'
  UNION ALL
  SELECT s.id, s.active_from, s.expires_at, m.turn, m.turns, m.observed_at, m.value, m.reference, m.reference_at, m.change_percent
  FROM armed_again a
  JOIN subscriptions s ON s.id = a.id
  JOIN moves m ON m.instrument_id = s.instrument_id AND m.metric = s.metric AND m.kind = s.kind
    AND m.window_seconds = s.window_seconds AND m.direction = s.direction
  WHERE NOT m.armed AND m.turn > a.turn AND s.threshold <= m.reached AND m.reached > 0
)
INSERT INTO hits (subscription_id, stretch, turn, observed_at, value, reference, reference_at, change_percent, turns)
SELECT id, CASE WHEN turns > 0 THEN turn - row_number() OVER (PARTITION BY id ORDER BY turn) ELSE turn END,
       turn, observed_at, value, reference, reference_at, change_percent, turns
FROM found
WHERE active_from < observed_at AND (expires_at IS NULL OR expires_at > observed_at);
