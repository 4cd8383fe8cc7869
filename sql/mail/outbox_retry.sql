-- An operator wants these mails tried again.
UPDATE outbox SET status = 'queued', attempts = 0, next_attempt_at = :now, lease = NULL, leased_until = NULL
WHERE (status = 'failed' AND CAST(:everything AS boolean)) OR (status IN ('failed', 'dropped') AND id = ANY (CAST(:ids AS bigint[])));
