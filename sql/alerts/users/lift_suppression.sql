-- Lifts the suppression of a user's address, at the user's own request.
UPDATE users SET suppressed_at = NULL, suppression_reason = NULL WHERE id = :user_id;
