-- Deletes subscriptions that were requested before :before for a confirmed address, but never confirmed themselves.
DELETE FROM subscriptions USING users
WHERE users.id = user_id AND verified_at IS NOT NULL AND status = 'pending' AND subscriptions.created_at < :before;
