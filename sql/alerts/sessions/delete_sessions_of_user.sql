-- Ends all sessions of a user, except for the newest :keep.
DELETE FROM sessions WHERE id IN (
  SELECT id FROM sessions WHERE user_id = :user_id ORDER BY created_at DESC, id DESC OFFSET :keep
);
