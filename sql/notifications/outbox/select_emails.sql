-- The newest mails, of one state where it is given.
SELECT id, channel, kind, recipient, status, attempts, created_at, next_attempt_at, sent_at, last_error
FROM outbox
WHERE CAST(:status AS text) IS NULL OR status = :status
ORDER BY id DESC
LIMIT :at_most;
