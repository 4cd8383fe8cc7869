-- The candles over the batch's quotes have to be made again: one stretch per instrument and UTC day.
INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
SELECT instrument_id, NULL, min(observed_at), max(observed_at)
FROM quote_batch
GROUP BY instrument_id, date_bin('1 day', observed_at, '2000-01-01 00:00+00')
ORDER BY instrument_id;
