-- Pauses an active subscription.
UPDATE subscriptions SET status = 'paused', paused_by_suppression = false, snoozed_until = '-infinity'
WHERE id = :id AND user_id = :user_id AND status = 'active';
