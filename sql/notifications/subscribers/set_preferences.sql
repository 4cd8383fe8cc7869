-- How a person wants to be told. The first digest comes at the next moment for one, not for what lies behind.
UPDATE users
SET timezone = :timezone, quiet_from = :quiet_from, quiet_until = :quiet_until, digest = :digest,
    digest_sent_at = CASE WHEN digest = :digest THEN digest_sent_at ELSE CAST(:now AS timestamptz) END
WHERE id = :user_id;
