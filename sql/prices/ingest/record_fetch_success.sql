-- A fetch went well: failures in a row start again from zero. A pause that another worker was asked for meanwhile stays.
INSERT INTO exchange_status (exchange_id, last_attempt_at, last_success_at, failures, fetch_seconds)
VALUES (:exchange_id, :now, :now, 0, :fetch_seconds)
ON CONFLICT (exchange_id) DO UPDATE
SET last_attempt_at = excluded.last_attempt_at, last_success_at = excluded.last_success_at, failures = 0,
    fetch_seconds = excluded.fetch_seconds,
    blocked_until = CASE WHEN exchange_status.blocked_until > excluded.last_success_at THEN exchange_status.blocked_until END,
    last_error = CASE WHEN exchange_status.blocked_until > excluded.last_success_at THEN exchange_status.last_error END;
