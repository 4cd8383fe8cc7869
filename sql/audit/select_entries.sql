-- Entries of the audit log before an id, newest first, optionally of one action, or of those that begin with a word.
SELECT id, at, actor, via, action, target, details
FROM audit_log
WHERE (CAST(:before AS bigint) IS NULL OR id < :before)
  AND (CAST(:action AS text) IS NULL OR action = :action OR split_part(action, '.', 1) = :action)
  AND (CAST(:actor AS text) IS NULL OR actor = :actor)
ORDER BY id DESC
LIMIT :limit
