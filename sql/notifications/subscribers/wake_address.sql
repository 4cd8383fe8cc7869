-- The person says that the address takes mail again.
UPDATE users SET suppressed_at = NULL, suppression_reason = NULL WHERE id = :user_id;
