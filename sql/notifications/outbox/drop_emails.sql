-- Drops queued and failed emails.
UPDATE outbox SET status = 'dropped', lease = NULL, leased_until = NULL
WHERE status IN ('queued', 'failed') AND id = ANY (CAST(:ids AS bigint[]));
