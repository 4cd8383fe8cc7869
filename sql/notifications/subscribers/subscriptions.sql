-- A person's subscriptions with the number of their alerts, the latest of them and of the prices, oldest first; one of
-- them where its id is given.
SELECT s.id, e.code AS exchange, e.name AS exchange_name, i.base, i.quote, c.name AS coin_name, s.kind, s.metric, s.direction,
       s.threshold, s.window_seconds, s.cooldown_seconds, s.repeat, s.expires_at, s.status, s.created_at,
       nullif(s.snoozed_until, '-infinity') AS snoozed_until, told.alerts, told.last_alert_at,
       p.observed_at AS last_price_at
FROM subscriptions s
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
LEFT JOIN latest_quotes p ON p.instrument_id = i.id
CROSS JOIN LATERAL (
  SELECT count(*) AS alerts, max(observed_at) AS last_alert_at FROM alerts WHERE subscription_id = s.id
) told
WHERE s.user_id = :user_id AND (CAST(:id AS bigint) IS NULL OR s.id = :id)
ORDER BY s.id;
