-- Expires the subscriptions whose end has passed, and returns their ids.
UPDATE subscriptions SET status = 'expired' WHERE status IN ('active', 'paused') AND expires_at <= :now RETURNING id;
