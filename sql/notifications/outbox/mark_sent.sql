-- Marks accepted emails as sent; returns those whose lease was still this sender's and that were not dropped meanwhile.
UPDATE outbox SET status = 'sent', sent_at = :now, lease = NULL, leased_until = NULL, last_error = NULL
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
