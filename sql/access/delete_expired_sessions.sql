-- Deletes the sessions of operators that have expired.
DELETE FROM operator_sessions WHERE expires_at <= :now
