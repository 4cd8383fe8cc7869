-- Users whose address was never confirmed, and to whom no confirmation has been sent since :before; up to :limit.
SELECT u.id FROM users u
WHERE u.verified_at IS NULL AND u.created_at < :before
  AND NOT EXISTS (SELECT FROM subscriptions s WHERE s.user_id = u.id
                  AND (s.created_at >= :before OR s.status NOT IN ('pending', 'unsubscribed')))
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.user_id = u.id AND (o.created_at >= :before OR o.status = 'queued'))
ORDER BY u.id
LIMIT :limit
FOR UPDATE SKIP LOCKED;
