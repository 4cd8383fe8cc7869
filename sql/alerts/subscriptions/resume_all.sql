-- Resumes all paused subscriptions of a user, for quotes observed from now on.
UPDATE subscriptions SET status = 'active', active_from = :now, armed = true, step_value = NULL, snoozed_until = '-infinity'
WHERE user_id = :user_id AND status = 'paused';
