-- Ends a subscription.
UPDATE subscriptions SET status = 'unsubscribed' WHERE id = :id AND status <> 'unsubscribed' RETURNING id;
