-- The newest subscription of a user that awaits confirmation; null if there is none.
SELECT max(id) FROM subscriptions WHERE user_id = :user_id AND status = 'pending';
