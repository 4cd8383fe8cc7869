-- The coarser candles over the batch's have to be made again: one stretch per instrument and UTC day. So have candles
-- that were made of something finer themselves and came back from a file: where the finer is there, it knows better.
INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
SELECT instrument_id,
       CASE WHEN source = 'exchange' THEN CAST(:resolution AS candle_resolution)
            WHEN CAST(:resolution AS candle_resolution) = '1d' THEN '1h'
            WHEN CAST(:resolution AS candle_resolution) = '1h' THEN '1m' END,
       min(opened_at), max(opened_at)
FROM candle_batch
GROUP BY instrument_id, 2, date_bin('1 day', opened_at, '2000-01-01 00:00+00')
ORDER BY instrument_id;
