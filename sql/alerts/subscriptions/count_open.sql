-- The number of a user's subscriptions that are active or paused, or were created after :pending_since and are pending.
SELECT count(*) FROM subscriptions
WHERE user_id = :user_id AND (status IN ('active', 'paused') OR (status = 'pending' AND created_at > :pending_since));
