-- Deletes a user's webhook.
DELETE FROM webhooks WHERE user_id = :user_id;
