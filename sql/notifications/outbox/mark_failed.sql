-- The server will never take it, or we stop trying.
UPDATE outbox SET status = 'failed', lease = NULL, leased_until = NULL, last_error = :error
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
