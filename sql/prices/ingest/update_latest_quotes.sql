-- Update the newest quote of each instrument from the batch, which has one per instrument, unless a newer one is known.
INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
SELECT instrument_id, observed_at, price, volume_24h, bid, ask, received_at FROM quote_batch ORDER BY instrument_id
ON CONFLICT (instrument_id) DO UPDATE
SET observed_at = excluded.observed_at, price = excluded.price, volume_24h = excluded.volume_24h,
    bid = excluded.bid, ask = excluded.ask, received_at = excluded.received_at
WHERE excluded.observed_at > latest_quotes.observed_at;
