-- The server took it. No row: the lease ran out and another sender has it now.
UPDATE outbox SET status = 'sent', sent_at = :now, lease = NULL, leased_until = NULL, last_error = NULL
WHERE id = :id AND lease = :lease RETURNING id;
