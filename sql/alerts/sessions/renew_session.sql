-- Extends a session that is in use.
UPDATE sessions SET last_seen_at = :now, expires_at = :expires_at WHERE id = :id;
