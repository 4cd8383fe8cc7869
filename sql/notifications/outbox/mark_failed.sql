-- Marks emails as failed; returns those whose lease was still this sender's.
UPDATE outbox SET status = 'failed', lease = NULL, leased_until = NULL, last_error = :error
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
