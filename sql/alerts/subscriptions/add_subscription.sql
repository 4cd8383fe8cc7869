-- Adds a subscription; no row if the user already has one with this rule.
INSERT INTO subscriptions (user_id, instrument_id, kind, metric, direction, threshold, window_seconds, cooldown_seconds,
                           repeat, expires_at, ladder_percent, status, active_from, created_at)
VALUES (:user_id, :instrument_id, :kind, :metric, :direction, :threshold, :window_seconds, :cooldown_seconds,
        :repeat, :expires_at, :ladder_percent, :status, :now, :now)
ON CONFLICT (user_id, instrument_id, kind, metric, direction, threshold, window_seconds, coalesce(ladder_percent, 0))
  WHERE status IN ('pending', 'active', 'paused') DO NOTHING
RETURNING id;
