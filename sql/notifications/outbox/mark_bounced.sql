-- Marks a sent email as failed, because it bounced.
UPDATE outbox SET status = 'failed', last_error = :error, next_attempt_at = :now WHERE id = :id;
