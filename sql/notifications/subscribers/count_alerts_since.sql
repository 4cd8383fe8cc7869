-- The number of a user's alerts that fired after a time.
SELECT count(*) FROM alerts a JOIN subscriptions s ON s.id = a.subscription_id
WHERE s.user_id = :user_id AND a.created_at > :since;
