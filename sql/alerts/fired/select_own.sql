-- A user's alerts on one instrument that fired in [:start, :end), newest first, at most :limit.
SELECT a.observed_at, a.price, a.reference, a.reference_at, a.change_percent, a.steps, s.kind, s.metric, s.direction, s.threshold,
       s.window_seconds, s.ladder_percent, e.code AS exchange, i.base, i.quote, a.created_at
FROM subscriptions s
CROSS JOIN LATERAL (
  SELECT * FROM alerts
  WHERE subscription_id = s.id AND observed_at >= :start AND observed_at < :end
  ORDER BY observed_at DESC LIMIT :limit
) a
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE s.user_id = :user_id AND s.instrument_id = :instrument_id
ORDER BY a.observed_at DESC
LIMIT :limit;
