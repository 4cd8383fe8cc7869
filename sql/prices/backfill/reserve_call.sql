-- Reserve the next call for history at an exchange, for one worker of many: `free_at` less the spacing is when it may be
-- made. While a live fetch or a pause is on nothing is reserved, and `held_until` says until when.
INSERT INTO exchange_status AS status (exchange_id, history_free_at)
VALUES (:exchange_id, greatest(CAST(:now AS timestamptz), CAST(:not_before AS timestamptz)) + CAST(:spacing AS interval))
ON CONFLICT (exchange_id) DO UPDATE
SET history_free_at = CASE
  WHEN greatest(status.live_until, status.blocked_until) > :now THEN status.history_free_at
  ELSE greatest(status.history_free_at, CAST(:now AS timestamptz), CAST(:not_before AS timestamptz)) + CAST(:spacing AS interval)
END
RETURNING history_free_at AS free_at, live_until, blocked_until, last_error;
