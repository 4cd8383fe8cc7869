-- Marks messages as dropped because their channel was removed; returns those whose lease was still this sender's.
UPDATE outbox SET status = 'dropped', lease = NULL, leased_until = NULL, last_error = :error
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
