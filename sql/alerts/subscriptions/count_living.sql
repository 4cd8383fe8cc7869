-- A person's subscriptions that may tell something, now or once they are confirmed; those nobody confirmed since :asked_since
-- count no more.
SELECT count(*) FROM subscriptions
WHERE user_id = :user_id AND (status IN ('active', 'paused') OR (status = 'pending' AND created_at > :asked_since));
