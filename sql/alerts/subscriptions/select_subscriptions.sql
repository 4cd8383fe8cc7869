-- Subscriptions with the number of their alerts and the time of the newest price, oldest first. Each parameter that is
-- not null restricts the rows. Resuming ends a ladder, so only an active one has a next step.
SELECT s.id, s.user_id, u.email, s.instrument_id, e.code AS exchange, coalesce(w.exchange_name, e.name) AS exchange_name,
       coalesce(w.simulated, e.simulated) AS simulated, i.base, i.quote, c.name AS coin_name, s.kind,
       s.metric, s.direction, s.threshold, s.window_seconds, s.cooldown_seconds, s.repeat, s.expires_at, s.ladder_percent,
       nullif(s.snoozed_until, '-infinity') AS snoozed_until, s.status, s.created_at, fired.alerts, fired.last_alert_at,
       q.observed_at AS last_price_at,
       CASE WHEN s.status = 'active' THEN step_after(s.step_value, 1, s.step_rises, s.ladder_percent) END AS next_step,
       CASE WHEN s.status = 'active' AND s.step_value IS NOT NULL THEN CASE WHEN s.step_rises THEN 'up' ELSE 'down' END END
         AS next_step_direction
FROM subscriptions s
JOIN users u ON u.id = s.user_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
LEFT JOIN watched_instruments w ON w.instrument_id = i.id
LEFT JOIN latest_quotes q ON q.instrument_id = i.id
CROSS JOIN LATERAL (
  SELECT count(*) AS alerts, max(observed_at) AS last_alert_at FROM alerts WHERE subscription_id = s.id
) fired
WHERE (CAST(:id AS bigint) IS NULL OR s.id = :id)
  AND (CAST(:user_id AS bigint) IS NULL OR s.user_id = :user_id)
  AND (CAST(:email AS text) IS NULL OR lower(u.email) = lower(:email))
  AND (CAST(:after_id AS bigint) IS NULL OR s.id > :after_id)
ORDER BY s.id
LIMIT CAST(:limit AS bigint);
