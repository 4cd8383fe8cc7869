-- Releases claimed emails that were not sent, for example because the mail server is unavailable. The attempt is not
-- counted.
UPDATE outbox SET attempts = attempts - 1, next_attempt_at = coalesce(CAST(:next_attempt_at AS timestamptz), next_attempt_at),
  lease = NULL, leased_until = NULL, last_error = coalesce(CAST(:error AS text), last_error)
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
