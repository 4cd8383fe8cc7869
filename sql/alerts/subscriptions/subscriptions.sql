-- Subscriptions, oldest first; by id or address where one is given.
SELECT s.id, u.email, e.code AS exchange, e.name AS exchange_name, i.base, i.quote, s.kind, s.metric, s.direction, s.threshold,
       s.window_seconds, s.cooldown_seconds, s.repeat, s.expires_at, nullif(s.snoozed_until, '-infinity') AS snoozed_until, s.status, s.created_at
FROM subscriptions s
JOIN users u ON u.id = s.user_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE (CAST(:id AS bigint) IS NULL OR s.id = :id) AND (CAST(:email AS text) IS NULL OR lower(u.email) = lower(:email))
ORDER BY s.id;
