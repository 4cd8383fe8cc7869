-- Deletes a subscription with its alerts.
DELETE FROM subscriptions WHERE id = :id AND user_id = :user_id;
