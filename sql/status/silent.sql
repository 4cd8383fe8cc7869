-- Instruments without a price for a day that active rules watch: these rules cannot fire. The most watched first.
SELECT e.code AS exchange, i.base, i.quote, s.rules, p.observed_at AS last_price_at
FROM (
  SELECT instrument_id, count(*) AS rules, min(created_at) AS since FROM subscriptions WHERE status = 'active' GROUP BY instrument_id
) s
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
LEFT JOIN latest_quotes p ON p.instrument_id = i.id
WHERE coalesce(p.observed_at, s.since) < CAST(:now AS timestamptz) - interval '1 day'
ORDER BY s.rules DESC, e.code, i.base, i.quote;
