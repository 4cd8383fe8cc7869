-- Snoozes an active subscription; null ends the snooze.
UPDATE subscriptions SET snoozed_until = coalesce(CAST(:until AS timestamptz), '-infinity')
WHERE id = :id AND user_id = :user_id AND status = 'active';
