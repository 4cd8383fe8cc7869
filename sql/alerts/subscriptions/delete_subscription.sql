-- A subscription goes, and its alerts with it.
DELETE FROM subscriptions WHERE id = :id AND user_id = :user_id;
