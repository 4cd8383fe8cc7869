-- Claimed, but the server is away: no attempt counts.
UPDATE outbox SET attempts = attempts - 1, next_attempt_at = :next_attempt_at, lease = NULL, leased_until = NULL, last_error = :error
WHERE lease = :lease RETURNING id;
