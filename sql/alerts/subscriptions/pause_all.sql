-- Pauses all active subscriptions of a user.
UPDATE subscriptions SET status = 'paused', paused_by_suppression = false, snoozed_until = '-infinity'
WHERE user_id = :user_id AND status = 'active';
