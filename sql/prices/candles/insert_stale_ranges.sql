-- Mark the coarser candles over the batch as stale: one time range per instrument and UTC day. Candles that were made of
-- finer ones and come from a file are marked as well, because the finer candles, where stored, take precedence.
INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
SELECT instrument_id,
       CASE WHEN source = 'exchange' THEN CAST(:resolution AS candle_resolution)
            WHEN CAST(:resolution AS candle_resolution) = '1d' THEN '1h'
            WHEN CAST(:resolution AS candle_resolution) = '1h' THEN '1m' END,
       min(opened_at), max(opened_at)
FROM candle_batch
GROUP BY instrument_id, 2, date_bin('1 day', opened_at, '2000-01-01 00:00+00')
ORDER BY instrument_id;
