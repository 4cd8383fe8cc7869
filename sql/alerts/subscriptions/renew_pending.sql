-- Makes a pending subscription that was requested again the newest.
UPDATE subscriptions SET created_at = :now WHERE id = :id AND status = 'pending';
