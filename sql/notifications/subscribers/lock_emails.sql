-- Locks all outbox rows of a user, without waiting; false if a sender holds one of them.
SELECT count(*) = (SELECT count(*) FROM outbox WHERE user_id = :user_id) AS all_locked
FROM (SELECT id FROM outbox WHERE user_id = :user_id FOR UPDATE SKIP LOCKED) locked;
