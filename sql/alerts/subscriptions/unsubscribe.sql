-- The person wants no more of it.
UPDATE subscriptions SET status = 'unsubscribed' WHERE id = :id AND status <> 'unsubscribed' RETURNING id;
