-- The person says that the address takes mail again.
UPDATE users SET disabled_at = NULL, disabled_reason = NULL WHERE id = :user_id;
