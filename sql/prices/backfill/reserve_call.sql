-- Reserve the next call for history, for one of any number of workers: it may be made at history_free_at minus :spacing.
-- During a live fetch or a rate limit nothing is reserved; live_until and blocked_until say how long to wait.
INSERT INTO exchange_status AS status (exchange_id, history_free_at)
VALUES (:exchange_id, greatest(CAST(:now AS timestamptz), CAST(:not_before AS timestamptz)) + CAST(:spacing AS interval))
ON CONFLICT (exchange_id) DO UPDATE
SET history_free_at = CASE
  WHEN greatest(status.live_until, status.blocked_until) > :now THEN status.history_free_at
  ELSE greatest(status.history_free_at, CAST(:now AS timestamptz), CAST(:not_before AS timestamptz)) + CAST(:spacing AS interval)
END
RETURNING history_free_at, live_until, blocked_until, last_error;
