-- What a scan can leave out. newest: references observed before the pending quotes end at the highest watermark.
-- all_satisfied_from: the size of a change that satisfies every rule of the kind and window, if none of them has a
-- cooldown or a ladder, is snoozed or starts later; never for more rules than :max_rules.
SELECT (SELECT max(evaluated_to) FROM evaluation_watermarks) AS newest,
       CASE WHEN count(*) < :max_rules AND bool_and(cooldown_seconds = 0 AND ladder_percent IS NULL AND greatest(active_from, cooldown_until, snoozed_until) < :first_at)
            THEN max(threshold) ELSE 'Infinity' END AS all_satisfied_from
FROM (
  SELECT threshold, cooldown_seconds, ladder_percent, active_from, cooldown_until, snoozed_until FROM subscriptions
  WHERE status = 'active' AND kind = :kind AND window_seconds = :seconds
  LIMIT :max_rules
) first_rules;
