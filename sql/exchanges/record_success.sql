-- A fetch went well: failures in a row start again from zero.
INSERT INTO exchange_status (exchange_id, last_attempt_at, last_success_at, failures, fetch_seconds)
VALUES (:exchange_id, :now, :now, 0, :fetch_seconds)
ON CONFLICT (exchange_id) DO UPDATE
SET last_attempt_at = excluded.last_attempt_at, last_success_at = excluded.last_success_at, failures = 0,
    fetch_seconds = excluded.fetch_seconds, blocked_until = NULL, last_error = NULL;
