-- The coarser candles over the batch's have to be made again: one stretch per instrument and UTC day.
INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
SELECT instrument_id, CAST(:resolution AS candle_resolution), min(opened_at), max(opened_at)
FROM candle_batch
GROUP BY instrument_id, date_bin('1 day', opened_at, '2000-01-01 00:00+00')
ORDER BY instrument_id;
