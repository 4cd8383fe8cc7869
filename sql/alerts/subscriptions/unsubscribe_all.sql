-- Ends all subscriptions of a user.
UPDATE subscriptions SET status = 'unsubscribed'
WHERE user_id = :user_id AND status IN ('pending', 'active', 'paused');
