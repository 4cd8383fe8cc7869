-- Queues failed and dropped emails again: those with the given ids, or all failed ones to addresses not suppressed.
UPDATE outbox SET status = 'queued', attempts = 0, next_attempt_at = :now, lease = NULL, leased_until = NULL
WHERE (status IN ('failed', 'dropped') AND id = ANY (CAST(:ids AS bigint[])))
   OR (status = 'failed' AND CAST(:all_failed AS boolean)
       AND NOT EXISTS (SELECT FROM users WHERE users.id = outbox.user_id AND suppressed_at IS NOT NULL));
