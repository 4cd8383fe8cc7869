-- Deletes entries made before a time, up to a limit.
DELETE FROM audit_log
WHERE id IN (SELECT id FROM audit_log WHERE at < :before ORDER BY at LIMIT :limit)
