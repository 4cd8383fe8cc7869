-- Insert new quotes; a quote whose key is already stored changes nothing.
INSERT INTO prices (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
SELECT instrument_id, observed_at, price, volume_24h, bid, ask, received_at FROM quote_batch
ON CONFLICT (instrument_id, observed_at) DO NOTHING;
