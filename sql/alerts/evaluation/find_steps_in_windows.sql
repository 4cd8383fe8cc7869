-- Ladders of change_over_window: the changes that still satisfy a disarmed rule whose next step one of them reaches, up to the
-- first change that does not satisfy it. See find_candidates for OFFSET 0.
INSERT INTO candidates (subscription_id, streak, position, total, observed_at, value, reference, reference_at,
                        change_percent, ready_at, cooldown, repeat, ladder_percent, rises, step_only, step_value)
WITH reached AS (
  SELECT DISTINCT s.id, c.lookup_key
  FROM changes c
  CROSS JOIN LATERAL (
    SELECT id FROM subscriptions
    WHERE status = 'active' AND step_value IS NOT NULL AND NOT armed AND step_rises = (c.change_percent > 0)
      AND lookup_key(instrument_id, metric, kind, window_seconds) = c.lookup_key
      AND step_after(step_value, 1, step_rises, ladder_percent)
          BETWEEN CASE WHEN c.change_percent > 0 THEN 0 ELSE c.value * (1 - 1e-9) END
              AND CASE WHEN c.change_percent > 0 THEN c.value * (1 + 1e-9) ELSE 'Infinity' END
    OFFSET 0
  ) s
  WHERE c.kind = 'change_over_window'
), satisfied AS (
  SELECT s.*, c.position, c.total, c.observed_at, c.value, c.change_percent > 0 AS rises,
         c.position - row_number() OVER (PARTITION BY s.id ORDER BY c.position) AS unsatisfied_before
  FROM reached r
  CROSS JOIN LATERAL (SELECT * FROM subscriptions WHERE subscriptions.id = r.id OFFSET 0) s
  JOIN changes c ON c.lookup_key = r.lookup_key AND s.threshold <= c.reach
  WHERE s.direction = 'either' OR s.direction = CASE WHEN c.change_percent > 0 THEN 'up' ELSE 'down' END
)
SELECT id, -1, position, total, observed_at, value, step_value, step_at, 100 * (value - step_value) / nullif(step_value, 0),
       greatest(cooldown_until, snoozed_until), make_interval(secs => cooldown_seconds), repeat, ladder_percent,
       rises, true, CASE WHEN rises = step_rises THEN step_value END
FROM satisfied
WHERE unsatisfied_before = 0 AND active_from < observed_at AND (expires_at IS NULL OR expires_at > observed_at);
