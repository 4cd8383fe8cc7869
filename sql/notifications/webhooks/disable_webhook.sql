-- Disables a user's webhook, unless its URL has been changed since.
UPDATE webhooks SET disabled_at = :now WHERE user_id = :user_id AND url = :url AND disabled_at IS NULL;
