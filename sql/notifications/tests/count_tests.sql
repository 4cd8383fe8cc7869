-- The test notifications that a user has requested since :since, and when the first of them was.
SELECT count(*) AS number, min(created_at) AS first_at FROM outbox
WHERE user_id = :user_id AND kind = 'test' AND channel = 'email' AND created_at > :since;
