-- Confirms a user's address, after the user has followed a link from an email.
UPDATE users SET verified_at = coalesce(verified_at, :now) WHERE id = :user_id;
