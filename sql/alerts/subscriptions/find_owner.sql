-- Whose subscription it is.
SELECT user_id FROM subscriptions WHERE id = :id;
