-- The server did not take it this time.
UPDATE outbox SET next_attempt_at = :next_attempt_at, lease = NULL, leased_until = NULL, last_error = :error
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
