-- Subscriptions whose level lies between a value and the one before, read from the index. Leaving a level does not
-- cross it. The steps of a ladder are counted from the level. OFFSET 0 keeps the planner from flattening the subqueries.
INSERT INTO candidates (subscription_id, streak, position, total, observed_at, value, reference, reference_at,
                        change_percent, ready_at, cooldown, repeat, ladder_percent, rises, step_only, step_value)
SELECT id, position, position, total, observed_at, value, reference, reference_at, change_percent,
       ready_at, make_interval(secs => cooldown_seconds), repeat, ladder_percent, change_percent > 0, false,
       step_after(threshold, count_steps(threshold, value, change_percent > 0, ladder_percent), change_percent > 0, ladder_percent)
FROM changes c
CROSS JOIN LATERAL (
  SELECT id, greatest(cooldown_until, snoozed_until) AS ready_at, cooldown_seconds, repeat, ladder_percent, threshold
  FROM subscriptions
  WHERE status = 'active' AND armed AND lookup_key(instrument_id, metric, kind, window_seconds) = c.lookup_key
    AND direction <> CASE WHEN c.change_percent > 0 THEN 'down' ELSE 'up' END
    AND threshold >= least(c.value, c.reference) AND threshold <= greatest(c.value, c.reference)
    AND threshold <> c.reference
    AND active_from < c.observed_at AND (expires_at IS NULL OR expires_at > c.observed_at)
  OFFSET 0
) s
WHERE c.kind = 'crosses';
