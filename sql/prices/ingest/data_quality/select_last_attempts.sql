-- Enabled exchanges that have been fetched, but not since :before, and are not rate limited.
SELECT exchange, last_attempt_at FROM exchange_health
WHERE enabled AND last_attempt_at < :before AND (blocked_until IS NULL OR blocked_until <= :now);
