-- How many subscriptions of a user can fire, now or once confirmed; unconfirmed ones stop counting after a while.
SELECT count(*) FROM subscriptions
WHERE user_id = :user_id AND (status IN ('active', 'paused') OR (status = 'pending' AND created_at > :pending_since));
