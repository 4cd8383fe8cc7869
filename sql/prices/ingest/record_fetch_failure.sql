-- Record a failed fetch. A rate limit is never shortened by another worker's later answer.
INSERT INTO exchange_status (exchange_id, last_attempt_at, failures, blocked_until, last_error)
VALUES (:exchange_id, :now, 1, :blocked_until, :error)
ON CONFLICT (exchange_id) DO UPDATE
SET last_attempt_at = excluded.last_attempt_at, failures = exchange_status.failures + 1,
    blocked_until = greatest(exchange_status.blocked_until, excluded.blocked_until), last_error = excluded.last_error
RETURNING failures;
