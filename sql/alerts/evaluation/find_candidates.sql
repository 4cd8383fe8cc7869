-- Changes that satisfy the rules of armed subscriptions, read from the index (key, threshold, direction): each index
-- scan ends at the first threshold out of reach. OFFSET 0 keeps the planner from flattening the subqueries; with
-- BETWEEN it correctly expects few rows, instead of a third of all, for which it would build a bitmap.
INSERT INTO candidates (subscription_id, streak, position, total, observed_at, value, reference, reference_at,
                        change_percent, ready_at, cooldown, repeat, ladder_percent, rises, step_only, step_value)
SELECT id, CASE WHEN total > 0 THEN position - row_number() OVER (PARTITION BY id ORDER BY position) ELSE position END,
       position, total, observed_at, value, reference, reference_at, change_percent,
       ready_at, make_interval(secs => cooldown_seconds), repeat, ladder_percent, change_percent > 0, false, value
FROM changes c
CROSS JOIN LATERAL (
  SELECT id, greatest(cooldown_until, snoozed_until) AS ready_at, cooldown_seconds, repeat, ladder_percent
  FROM subscriptions
  WHERE status = 'active' AND armed AND lookup_key(instrument_id, metric, kind, window_seconds) = c.lookup_key
    AND threshold BETWEEN 0 AND c.reach
    AND direction <> CASE WHEN c.change_percent > 0 THEN 'down' ELSE 'up' END
    AND active_from < c.observed_at AND (expires_at IS NULL OR expires_at > c.observed_at)
  OFFSET 0
) s
WHERE c.kind <> 'crosses';
