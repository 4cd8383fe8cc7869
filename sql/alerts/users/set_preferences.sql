-- Saves the notification settings. The first digest is sent at the next digest time, not for the time before.
UPDATE users
SET timezone = :timezone, quiet_from = :quiet_from, quiet_until = :quiet_until, digest = :digest,
    digest_sent_at = CASE WHEN digest = :digest THEN digest_sent_at ELSE CAST(:now AS timestamptz) END
WHERE id = :user_id;
