-- Due mails, at most :most, leased to this sender; others pass over them until the lease ends. What goes to other
-- channels has a claim of its own (claim_channels).
UPDATE outbox SET lease = :lease, leased_until = :leased_until, attempts = attempts + 1
WHERE id IN (
  SELECT id FROM outbox
  WHERE status = 'queued' AND channel = 'mail' AND next_attempt_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
  ORDER BY next_attempt_at, id
  LIMIT :most
  FOR UPDATE SKIP LOCKED
)
RETURNING id, user_id, recipient, kind, payload, message_id, attempts, created_at;
