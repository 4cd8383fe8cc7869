-- Deletes a user; their outbox rows are deleted with them.
DELETE FROM users WHERE id = :user_id;
