-- An operator wants these mails tried again; of all that failed only those to addresses that are mailed at all.
UPDATE outbox SET status = 'queued', attempts = 0, next_attempt_at = :now, lease = NULL, leased_until = NULL
WHERE (status IN ('failed', 'dropped') AND id = ANY (CAST(:ids AS bigint[])))
   OR (status = 'failed' AND CAST(:everything AS boolean)
       AND NOT EXISTS (SELECT FROM users WHERE users.id = outbox.user_id AND suppressed_at IS NOT NULL));
