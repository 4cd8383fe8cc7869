-- A user's alerts with the email that contains each, newest first; :before is the id of the last alert already read. Each
-- filter that is not null restricts the rows; :since is when they fired.
SELECT a.id, a.subscription_id, a.observed_at, a.price, a.reference, a.reference_at, a.change_percent, a.steps, a.late, a.state,
       e.code AS exchange, e.name AS exchange_name, i.base, i.quote, s.metric, o.status AS email_status, o.sent_at
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
LEFT JOIN outbox o ON o.id = a.outbox_id
WHERE s.user_id = :user_id
  AND (CAST(:before AS bigint) IS NULL OR a.id < :before)
  AND (CAST(:since AS timestamptz) IS NULL OR a.created_at > :since)
  AND (CAST(:coin AS text) IS NULL OR i.base = :coin)
  AND (CAST(:subscription_id AS bigint) IS NULL OR s.id = :subscription_id)
ORDER BY a.id DESC
LIMIT :limit;
