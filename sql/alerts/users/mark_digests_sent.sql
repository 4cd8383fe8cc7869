-- A digest was queued for these users: the next one is due a day or a week later.
UPDATE users SET digest_sent_at = :now WHERE id = ANY (CAST(:user_ids AS bigint[]));
