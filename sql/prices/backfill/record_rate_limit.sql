-- The exchange rate limited a worker: the limit applies to all workers, and is not a failed fetch of prices.
INSERT INTO exchange_status (exchange_id, blocked_until, last_error)
VALUES (:exchange_id, :blocked_until, :error)
ON CONFLICT (exchange_id) DO UPDATE
SET blocked_until = greatest(exchange_status.blocked_until, excluded.blocked_until), last_error = excluded.last_error;
