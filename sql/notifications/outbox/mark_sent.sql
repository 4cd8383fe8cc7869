-- The server took them. One that does not come back is not this sender's any more: its lease ran out, or it was dropped.
UPDATE outbox SET status = 'sent', sent_at = :now, lease = NULL, leased_until = NULL, last_error = NULL
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
