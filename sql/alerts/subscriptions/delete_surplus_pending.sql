-- Deletes the oldest pending subscriptions of a user beyond :limit.
DELETE FROM subscriptions WHERE id IN (
  SELECT id FROM subscriptions WHERE user_id = :user_id AND status = 'pending' ORDER BY created_at DESC, id DESC OFFSET :limit
);
