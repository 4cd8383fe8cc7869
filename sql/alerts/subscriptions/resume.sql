-- Activates a subscription for quotes observed from now on. An expiry that has passed is removed.
UPDATE subscriptions
SET status = 'active', active_from = :now, armed = true, step_value = NULL, snoozed_until = '-infinity',
    expires_at = CASE WHEN expires_at > :now THEN expires_at END
WHERE id = :id AND user_id = :user_id AND status <> 'active';
