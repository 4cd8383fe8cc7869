-- The number of a user's subscriptions that are active or paused.
SELECT count(*) FROM subscriptions WHERE user_id = :user_id AND status IN ('active', 'paused');
