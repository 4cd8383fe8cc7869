-- Locks a sent email and returns its recipient; the random message_id proves that a report is about this email.
SELECT recipient FROM outbox
WHERE id = :id AND message_id = :message_id AND channel = 'email' AND status = 'sent'
FOR UPDATE;
