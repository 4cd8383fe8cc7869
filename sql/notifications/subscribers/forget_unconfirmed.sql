-- Addresses that somebody typed and nobody confirmed: at most :most of those that were not asked since a moment.
WITH strangers AS (
  SELECT u.id FROM users u
  WHERE u.verified_at IS NULL AND u.created_at < :before
    AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.user_id = u.id
                    AND (s.created_at >= :before OR s.status NOT IN ('pending', 'unsubscribed')))
    AND NOT EXISTS (SELECT FROM outbox o WHERE o.user_id = u.id AND (o.created_at >= :before OR o.status = 'queued'))
  ORDER BY u.id
  LIMIT :most
  FOR UPDATE SKIP LOCKED
)
DELETE FROM users USING strangers WHERE users.id = strangers.id;
