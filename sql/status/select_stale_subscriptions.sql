-- Instruments with active subscriptions but no price since :stale_before, most subscriptions first.
SELECT e.code AS exchange, i.base, i.quote, s.subscriptions, p.observed_at AS last_price_at
FROM (
  SELECT instrument_id, count(*) AS subscriptions, min(created_at) AS since
  FROM subscriptions
  WHERE status = 'active'
  GROUP BY instrument_id
) s
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
LEFT JOIN latest_quotes p ON p.instrument_id = i.id
WHERE coalesce(p.observed_at, s.since) < CAST(:stale_before AS timestamptz)
ORDER BY s.subscriptions DESC, e.code, i.base, i.quote;
