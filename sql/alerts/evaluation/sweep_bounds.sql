-- What a sweep need not look at. newest: what lies before the values of a batch ends where values have been judged at most.
-- held_from: a move that meets every rule of the kind and window, none of which rests or begins only later; never for more
-- rules than :few.
SELECT (SELECT max(evaluated_to) FROM evaluation_watermarks) AS newest,
       CASE WHEN count(*) < :few AND bool_and(cooldown_seconds = 0 AND greatest(active_from, cooldown_until, snoozed_until) < :first_at)
            THEN max(threshold) ELSE 'Infinity' END AS held_from
FROM (
  SELECT threshold, cooldown_seconds, active_from, cooldown_until, snoozed_until FROM subscriptions
  WHERE status = 'active' AND kind = :kind AND window_seconds = :seconds
  LIMIT :few
) first_few;
