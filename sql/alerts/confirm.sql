-- A person confirmed: the address is theirs, and the rule judges what is observed from now on.
WITH confirmed AS (
  UPDATE subscriptions SET status = 'active', active_from = :now WHERE id = :id AND status = 'pending'
  RETURNING user_id
)
UPDATE users SET verified_at = coalesce(verified_at, :now), disabled_at = NULL, disabled_reason = NULL FROM confirmed WHERE users.id = confirmed.user_id
RETURNING users.id;
