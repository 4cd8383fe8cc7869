-- The last known price of each instrument.
SELECT instrument_id, price FROM latest_quotes WHERE instrument_id = ANY (CAST(:instrument_ids AS integer[]));
