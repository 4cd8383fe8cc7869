-- The subscription a person was asked about last and did not confirm yet.
SELECT max(id) FROM subscriptions WHERE user_id = :user_id AND status = 'pending';
