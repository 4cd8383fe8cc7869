-- The alerts of the time range, newest first. Subscribers' addresses are left out on purpose.
SELECT created_at AS "Fired", pair AS "Pair", exchange AS "Exchange", kind AS "Rule", price AS "Price",
  reference AS "Compared with", change_percent AS "Change"
FROM alert_activity
WHERE $__timeFilter(created_at)
ORDER BY created_at DESC
LIMIT 100
