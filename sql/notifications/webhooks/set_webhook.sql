-- Sets the URL of a user's webhook, and enables it again. The secret is kept if there is one.
INSERT INTO webhooks AS w (user_id, url, secret, created_at) VALUES (:user_id, :url, :secret, :now)
ON CONFLICT (user_id) DO UPDATE SET url = excluded.url, disabled_at = NULL;
