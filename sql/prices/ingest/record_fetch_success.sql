-- Record a successful fetch and reset the number of consecutive failures. A rate limit set by another worker is kept.
INSERT INTO exchange_status (exchange_id, last_attempt_at, last_success_at, failures, fetch_seconds)
VALUES (:exchange_id, :now, :now, 0, :fetch_seconds)
ON CONFLICT (exchange_id) DO UPDATE
SET last_attempt_at = excluded.last_attempt_at, last_success_at = excluded.last_success_at, failures = 0,
    fetch_seconds = excluded.fetch_seconds,
    blocked_until = CASE WHEN exchange_status.blocked_until > excluded.last_success_at THEN exchange_status.blocked_until END,
    last_error = CASE WHEN exchange_status.blocked_until > excluded.last_success_at THEN exchange_status.last_error END;
