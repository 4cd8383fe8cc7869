-- Leases up to :limit due emails of a channel to this sender; other senders skip them until the lease expires.
UPDATE outbox SET lease = :lease, leased_until = :leased_until, attempts = attempts + 1
WHERE id IN (
  SELECT id FROM outbox
  WHERE status = 'queued' AND channel = :channel AND next_attempt_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
  ORDER BY CASE WHEN CAST(:confirmations_first AS boolean) THEN kind <> 'confirmation' END, next_attempt_at
  LIMIT :limit
  FOR UPDATE SKIP LOCKED
)
RETURNING id, user_id, recipient, kind, payload, message_id, attempts, created_at,
  (SELECT link_key FROM users WHERE id = outbox.user_id) AS link_key,
  (SELECT link_version FROM users WHERE id = outbox.user_id) AS link_version;
