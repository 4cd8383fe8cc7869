-- All outbox rows of a user, oldest first.
SELECT id, kind, channel, recipient, status, payload, message_id, attempts, next_attempt_at, created_at, sent_at, last_error
FROM outbox WHERE user_id = :user_id ORDER BY id;
