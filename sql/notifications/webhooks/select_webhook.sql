-- A user's webhook.
SELECT url, secret, previous_secret, previous_until, created_at, disabled_at FROM webhooks WHERE user_id = :user_id;
