-- A mail that a server had taken came back. Found among the mails of its person, so that no index on message_id is needed.
UPDATE outbox SET status = 'failed', last_error = :error, next_attempt_at = :now
FROM users
WHERE outbox.user_id = users.id AND lower(users.email) = lower(:recipient)
  AND outbox.message_id = :message_id AND outbox.channel = 'email' AND outbox.status = 'sent'
RETURNING outbox.id;
