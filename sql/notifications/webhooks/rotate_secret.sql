-- Replaces the secret of a user's webhook; the old one also signs until :previous_until.
UPDATE webhooks SET secret = :secret, previous_secret = secret, previous_until = :previous_until WHERE user_id = :user_id;
