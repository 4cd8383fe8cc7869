-- Marks a sent email as failed, because it bounced; the random message_id proves that the report is about this email.
UPDATE outbox SET status = 'failed', last_error = :error, next_attempt_at = :now
WHERE id = :id AND message_id = :message_id AND channel = 'email' AND status = 'sent'
RETURNING recipient;
