-- Schedules the next attempt of rejected emails; returns those whose lease was still this sender's.
UPDATE outbox SET next_attempt_at = :next_attempt_at, lease = NULL, leased_until = NULL, last_error = :error
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
