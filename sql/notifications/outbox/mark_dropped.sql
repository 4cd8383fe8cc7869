-- There is nobody any more to whom it could go.
UPDATE outbox SET status = 'dropped', lease = NULL, leased_until = NULL, last_error = :error
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
