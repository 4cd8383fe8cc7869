-- The last known price and 24 h volume of each instrument.
SELECT instrument_id, price, volume_24h FROM latest_quotes WHERE instrument_id = ANY (CAST(:instrument_ids AS integer[]));
