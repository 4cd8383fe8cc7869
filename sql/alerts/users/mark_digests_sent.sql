-- Records that a digest was queued for these users.
UPDATE users SET digest_sent_at = :now WHERE id = ANY (CAST(:user_ids AS bigint[]));
