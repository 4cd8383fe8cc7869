-- Deletes all subscriptions of a user with their alerts. Runs before the user is deleted, because alerts refer to the
-- outbox rows that are deleted with the user.
DELETE FROM subscriptions WHERE user_id = :user_id;
