-- Locks a user's row; no row if the user does not exist.
SELECT id FROM users WHERE id = :user_id FOR UPDATE;
