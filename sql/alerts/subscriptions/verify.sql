-- The link reached the mailbox and its reader asked for alerts there: the address is theirs.
UPDATE users SET verified_at = coalesce(verified_at, :now) WHERE id = :user_id;
