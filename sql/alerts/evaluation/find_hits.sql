-- Moves that meet the conditions of armed subscriptions, straight from the index (key, threshold, direction): a look-up ends
-- at the first threshold that is out of reach. OFFSET 0 keeps the planner from flattening the look-ups away; BETWEEN has it
-- expect the few rows that there are, instead of a third of all, for which it would prepare a bitmap.
INSERT INTO hits (subscription_id, stretch, turn, turns, observed_at, value, reference, reference_at, change_percent,
                  ready_at, cooldown, repeat)
SELECT id, CASE WHEN turns > 0 THEN turn - row_number() OVER (PARTITION BY id ORDER BY turn) ELSE turn END,
       turn, turns, observed_at, value, reference, reference_at, change_percent,
       ready_at, make_interval(secs => cooldown_seconds), repeat
FROM moves m
CROSS JOIN LATERAL (
  SELECT id, greatest(cooldown_until, snoozed_until) AS ready_at, cooldown_seconds, repeat
  FROM subscriptions
  WHERE status = 'active' AND armed AND lookup_key(instrument_id, metric, kind, window_seconds) = m.lookup_key
    AND threshold BETWEEN 0 AND m.reach
    AND direction <> CASE WHEN m.change_percent > 0 THEN 'down' ELSE 'up' END
    AND active_from < m.observed_at AND (expires_at IS NULL OR expires_at > m.observed_at)
  OFFSET 0
) s
WHERE m.kind <> 'crosses';
