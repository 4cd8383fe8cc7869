-- Subscriptions whose end has passed.
UPDATE subscriptions SET status = 'expired' WHERE status IN ('active', 'paused') AND expires_at <= :now RETURNING id;
