-- Whoever changes a person's rows holds the person first; no row when there is none (any more).
SELECT id FROM users WHERE id = :user_id FOR UPDATE;
