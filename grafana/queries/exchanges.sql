-- What the pipeline knows about every exchange now, the troubled ones first.
SELECT name AS "Exchange",
  CASE
    WHEN NOT enabled THEN 'switched off'
    WHEN blocked_until > $__timeTo() THEN 'told us to wait'
    WHEN failures > 0 THEN 'failing'
    WHEN last_success_at IS NULL THEN 'not asked yet'
    ELSE 'working'
  END AS "State",
  last_success_at AS "Last answer", failures AS "Failures in a row", blocked_until AS "Not before",
  fetch_seconds AS "Fetch time", last_error AS "Last error"
FROM exchange_health
ORDER BY enabled DESC, failures DESC, name
