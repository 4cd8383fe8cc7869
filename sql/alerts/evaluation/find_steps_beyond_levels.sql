-- Ladders of crosses: the pending values beyond a level since it was crossed, and every crossing of it. Any crossing ends the
-- ladder; one in the rule's direction starts another if it fires (find_crossed_levels). Only subscriptions whose level is
-- crossed or whose next step is reached are read, see find_candidates for OFFSET 0.
INSERT INTO candidates (subscription_id, streak, position, total, observed_at, value, reference, reference_at,
                        change_percent, ready_at, cooldown, repeat, ladder_percent, rises, step_only, step_value)
WITH crossings AS (
  SELECT s.id, c.observed_at, c.position, c.change_percent > 0 AS rises
  FROM changes c
  CROSS JOIN LATERAL (
    SELECT id FROM subscriptions
    WHERE status = 'active' AND armed AND lookup_key(instrument_id, metric, kind, window_seconds) = c.lookup_key
      AND threshold >= least(c.value, c.reference) AND threshold <= greatest(c.value, c.reference) AND threshold <> c.reference
      AND ladder_percent IS NOT NULL
    OFFSET 0
  ) s
  WHERE c.kind = 'crosses'
), reached AS (
  SELECT s.id
  FROM pending_quotes q
  CROSS JOIN (VALUES (true), (false)) direction (rises)
  CROSS JOIN LATERAL (
    SELECT id FROM subscriptions
    WHERE status = 'active' AND step_value IS NOT NULL AND step_rises = direction.rises
      AND lookup_key(instrument_id, metric, kind, window_seconds) = lookup_key(q.instrument_id, q.metric, 'crosses', 0)
      AND step_after(step_value, 1, step_rises, ladder_percent)
          BETWEEN CASE WHEN direction.rises THEN 0 ELSE q.value * (1 - 1e-9) END
              AND CASE WHEN direction.rises THEN q.value * (1 + 1e-9) ELSE 'Infinity' END
    OFFSET 0
  ) s
), followed AS (
  SELECT s.id, s.threshold, s.direction, s.ladder_percent, s.step_value, s.step_rises, s.step_at, s.active_from, s.expires_at,
         greatest(s.cooldown_until, s.snoozed_until) AS ready_at, make_interval(secs => s.cooldown_seconds) AS cooldown,
         s.repeat, q.observed_at, q.value, c.position,
         coalesce(max(c.position) OVER in_time, -1) AS streak,
         coalesce(mod(max(2 * c.position + CAST(c.rises AS integer)) OVER in_time, 2) = 1, s.step_rises) AS rises
  FROM (SELECT id FROM crossings UNION SELECT id FROM reached) l
  CROSS JOIN LATERAL (SELECT * FROM subscriptions WHERE subscriptions.id = l.id OFFSET 0) s
  JOIN pending_quotes q ON q.instrument_id = s.instrument_id AND q.metric = s.metric AND q.value IS NOT NULL
  LEFT JOIN crossings c ON c.id = l.id AND c.observed_at = q.observed_at
  WINDOW in_time AS (PARTITION BY s.id ORDER BY q.observed_at)
)
SELECT id, streak, streak, 0, observed_at, value, coalesce(step_value, value), coalesce(step_at, observed_at),
       coalesce(100 * (value - step_value) / step_value, 0), ready_at, cooldown, repeat, ladder_percent, rises, true, CASE WHEN streak = -1 THEN step_value END
FROM followed
WHERE active_from < observed_at AND (expires_at IS NULL OR expires_at > observed_at)
  AND CASE WHEN position IS NOT NULL THEN direction = CASE WHEN rises THEN 'down' ELSE 'up' END
           ELSE count_steps(CASE WHEN streak = -1 THEN step_value ELSE threshold END, value, rises, ladder_percent) > 0 END;
