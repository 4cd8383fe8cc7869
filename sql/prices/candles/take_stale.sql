-- Take work, the newest first so that what people look at does not wait behind years that were just imported.
WITH newest AS (
  SELECT id FROM stale_candles ORDER BY id DESC LIMIT :at_most FOR UPDATE SKIP LOCKED
), taken AS (
  DELETE FROM stale_candles USING newest WHERE stale_candles.id = newest.id
  RETURNING instrument_id, changed, first_at, last_at
)
INSERT INTO taken_stretches SELECT instrument_id, changed, first_at, last_at FROM taken;
