-- Hold back a quote. The same quote received again changes nothing, even if it has been rejected.
INSERT INTO unconfirmed_quotes (instrument_id, observed_at, received_at, price, volume_24h, bid, ask, reference)
VALUES (:instrument_id, :observed_at, :received_at, :price, :volume_24h, :bid, :ask, :reference)
ON CONFLICT (instrument_id, observed_at) DO NOTHING;
