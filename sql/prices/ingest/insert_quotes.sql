-- Insert new quotes of the batch; a quote whose key is already stored changes nothing. Marks the candles of the inserted
-- ones as stale, a time range per instrument and UTC day, and keeps the newest quote of each instrument. Returns how many
-- were inserted.
WITH inserted AS (
  INSERT INTO prices (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
  SELECT instrument_id, observed_at, price, volume_24h, bid, ask, received_at FROM quote_batch
  ON CONFLICT (instrument_id, observed_at) DO NOTHING
  RETURNING instrument_id, observed_at, price, volume_24h, bid, ask, received_at
), stale AS (
  INSERT INTO stale_candles (instrument_id, first_at, last_at)
  SELECT instrument_id, min(observed_at), max(observed_at) FROM inserted
  GROUP BY instrument_id, date_bin('1 day', observed_at, '2000-01-01 00:00+00')
), latest AS (
  INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
  SELECT DISTINCT ON (instrument_id) * FROM inserted ORDER BY instrument_id, observed_at DESC
  ON CONFLICT (instrument_id) DO UPDATE
  SET observed_at = excluded.observed_at, price = excluded.price, volume_24h = excluded.volume_24h,
      bid = excluded.bid, ask = excluded.ask, received_at = excluded.received_at
  WHERE excluded.observed_at > latest_quotes.observed_at
)
SELECT count(*) FROM inserted;
