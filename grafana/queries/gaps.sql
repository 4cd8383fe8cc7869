-- Gaps in the time range that are not repaired, newest first.
SELECT started_at AS "From", ended_at AS "To", extract(epoch FROM ended_at - started_at)::double precision AS "Length",
  exchange AS "Exchange", pair AS "Pair",
  CASE status WHEN 'open' THEN 'will be requested' ELSE coalesce(reason, 'cannot be filled') END AS "State"
FROM gap_history
WHERE started_at < $__timeTo() AND ended_at > $__timeFrom()
  AND status <> 'repaired'
  AND exchange = ANY (ARRAY[${exchange:sqlstring}]::text[])
ORDER BY started_at DESC, exchange, pair
LIMIT 200
