-- A new subscription; no row comes back when the person has the same rule already.
INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, cooldown_seconds, status, active_from, created_at)
VALUES (:user_id, :instrument_id, 'change_since_last', :direction, :threshold, :cooldown_seconds, :status, :now, :now)
ON CONFLICT (user_id, instrument_id, kind, metric, direction, threshold, coalesce(window_seconds, 0))
  WHERE status IN ('pending', 'active', 'paused') DO NOTHING
RETURNING id;
