-- The current state of every exchange, failing ones first.
SELECT name AS "Exchange",
  CASE
    WHEN NOT enabled THEN 'disabled'
    WHEN blocked_until > $__timeTo() THEN 'rate limited'
    WHEN failures > 0 THEN 'failing'
    WHEN last_success_at IS NULL THEN 'never fetched'
    ELSE 'working'
  END AS "State",
  last_success_at AS "Last success", failures AS "Consecutive failures", blocked_until AS "Rate limited until",
  fetch_seconds AS "Fetch duration", last_error AS "Last error"
FROM exchange_health
ORDER BY enabled DESC, failures DESC, name
