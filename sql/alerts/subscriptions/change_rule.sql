-- Replaces the instrument and the rule: armed, without cooldown, for quotes observed from now on. An ended subscription
-- becomes active.
UPDATE subscriptions
SET instrument_id = :instrument_id, kind = :kind, metric = :metric, direction = :direction, threshold = :threshold,
    window_seconds = :window_seconds, cooldown_seconds = :cooldown_seconds, repeat = :repeat, ladder_percent = :ladder_percent,
    expires_at = :expires_at, active_from = :now, armed = true, step_value = NULL, cooldown_until = '-infinity',
    status = CASE WHEN status IN ('ended', 'expired', 'unsubscribed') THEN 'active' ELSE status END
WHERE id = :id AND user_id = :user_id;
