-- Drops the queued and failed emails with the given ids, or all failed ones.
UPDATE outbox SET status = 'dropped', lease = NULL, leased_until = NULL
WHERE (status IN ('queued', 'failed') AND id = ANY (CAST(:ids AS bigint[])))
   OR (status = 'failed' AND CAST(:all_failed AS boolean));
