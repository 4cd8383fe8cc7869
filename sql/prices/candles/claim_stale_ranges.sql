-- Claim stale ranges, the newest first, so that current candles need not wait for years of imported history.
WITH newest AS (
  SELECT id FROM stale_candles ORDER BY id DESC LIMIT :limit FOR UPDATE SKIP LOCKED
), claimed AS (
  DELETE FROM stale_candles USING newest WHERE stale_candles.id = newest.id
  RETURNING instrument_id, changed, first_at, last_at
)
INSERT INTO claimed_ranges SELECT instrument_id, changed, first_at, last_at FROM claimed;
