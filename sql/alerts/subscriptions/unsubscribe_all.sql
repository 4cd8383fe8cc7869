-- The person wants no more of anything.
UPDATE subscriptions SET status = 'unsubscribed'
WHERE user_id = :user_id AND status IN ('pending', 'active', 'paused');
