-- The newest emails before an id, all or those with one status.
SELECT id, channel, kind, recipient, status, attempts, created_at, next_attempt_at, sent_at, last_error
FROM outbox
WHERE (CAST(:status AS text) IS NULL OR status = :status)
  AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC
LIMIT :limit;
