-- Leases the due emails that someone just requested for an address; other senders skip them until the lease expires.
UPDATE outbox SET lease = :lease, leased_until = :leased_until, attempts = attempts + 1
WHERE id IN (
  SELECT id FROM outbox
  WHERE user_id = (SELECT id FROM users WHERE lower(email) = lower(:requested_by)) AND kind IN ('confirmation', 'manage', 'test')
    AND status = 'queued' AND channel = :channel AND next_attempt_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
  LIMIT :limit
  FOR UPDATE SKIP LOCKED
)
RETURNING id, user_id, recipient, kind, payload, message_id, attempts, created_at,
  (SELECT link_key FROM users WHERE id = outbox.user_id) AS link_key,
  (SELECT link_version FROM users WHERE id = outbox.user_id) AS link_version;
