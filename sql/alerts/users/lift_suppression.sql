-- The user says that the address accepts email again.
UPDATE users SET suppressed_at = NULL, suppression_reason = NULL WHERE id = :user_id;
