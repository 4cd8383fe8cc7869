-- The user has followed a link from an email: the address is theirs.
UPDATE users SET verified_at = coalesce(verified_at, :now) WHERE id = :user_id;
