-- Mails that are done with since before a moment, at most :most. Their alerts stay, and stay told.
DELETE FROM outbox WHERE id IN (
  SELECT id FROM outbox WHERE status = 'sent' AND sent_at < :before
  UNION ALL
  SELECT id FROM outbox WHERE status IN ('failed', 'dropped') AND next_attempt_at < :before
  LIMIT :most
);
