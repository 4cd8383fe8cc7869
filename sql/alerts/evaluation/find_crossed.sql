-- Levels that lie between a value and the one before it, straight from the index; a level left is not crossed. OFFSET 0
-- keeps the planner from flattening the look-ups away.
INSERT INTO hits (subscription_id, stretch, turn, turns, observed_at, value, reference, reference_at, change_percent,
                  ready_at, cooldown, repeat)
SELECT id, turn, turn, turns, observed_at, value, reference, reference_at, change_percent,
       ready_at, make_interval(secs => cooldown_seconds), repeat
FROM moves m
CROSS JOIN LATERAL (
  SELECT id, greatest(cooldown_until, snoozed_until) AS ready_at, cooldown_seconds, repeat
  FROM subscriptions
  WHERE status = 'active' AND armed AND lookup_key(instrument_id, metric, kind, window_seconds) = m.lookup_key
    AND direction <> CASE WHEN m.change_percent > 0 THEN 'down' ELSE 'up' END
    AND threshold >= least(m.value, m.reference) AND threshold <= greatest(m.value, m.reference)
    AND threshold <> m.reference
    AND active_from < m.observed_at AND (expires_at IS NULL OR expires_at > m.observed_at)
  OFFSET 0
) s
WHERE m.kind = 'crosses';
