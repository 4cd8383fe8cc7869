-- Deletes up to :limit emails that were sent, failed or dropped before :before; their alerts are kept.
DELETE FROM outbox WHERE id IN (
  SELECT id FROM outbox WHERE status = 'sent' AND sent_at < :before
  UNION ALL
  SELECT id FROM outbox WHERE status IN ('failed', 'dropped') AND next_attempt_at < :before
  LIMIT :limit
);
