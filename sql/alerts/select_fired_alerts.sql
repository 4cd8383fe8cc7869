-- Fired alerts, newest first: at most :limit of those with ids below :before_id. Each parameter that is not null restricts
-- the rows.
SELECT a.id, a.subscription_id, e.code AS exchange, i.base AS coin, i.quote, s.kind, s.metric, s.direction,
       a.observed_at, a.price, a.reference, a.reference_at, a.change_percent, a.late, a.state, a.created_at
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE (CAST(:before_id AS bigint) IS NULL OR a.id < :before_id)
  AND (CAST(:subscription_id AS bigint) IS NULL OR a.subscription_id = :subscription_id)
  AND (CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(i.base), lower(c.name)))
  AND (CAST(:exchange AS text) IS NULL OR e.code = lower(:exchange))
  AND (CAST(:start AS timestamptz) IS NULL OR a.observed_at >= :start)
  AND (CAST(:end AS timestamptz) IS NULL OR a.observed_at < :end)
ORDER BY a.id DESC
LIMIT :limit;
