-- The rule to test, active from the start.
INSERT INTO pg_temp.subscriptions (id, user_id, instrument_id, kind, metric, direction, threshold, window_seconds,
                                   cooldown_seconds, repeat, expires_at, ladder_percent, status, active_from, created_at)
VALUES (1, 0, :instrument_id, :kind, :metric, :direction, :threshold, :window_seconds, :cooldown_seconds, :repeat,
        :expires_at, :ladder_percent, 'active', :start, :start);
