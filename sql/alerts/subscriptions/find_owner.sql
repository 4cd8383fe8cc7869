-- The user of a subscription.
SELECT user_id FROM subscriptions WHERE id = :id;
