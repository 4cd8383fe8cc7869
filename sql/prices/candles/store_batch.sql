-- Candles enter or replace what is stored for their key: the exchange's word is replaced by the exchange's alone.
-- What is equal already is not written again. The last of two rows for one key in a batch counts.
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, trades, samples, source)
SELECT DISTINCT ON (instrument_id, opened_at)
       instrument_id, CAST(:resolution AS candle_resolution), opened_at, open, high, low, close, volume, trades, samples, CAST(source AS candle_source)
FROM candle_batch
ORDER BY instrument_id, opened_at, ctid DESC
ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume,
    trades = excluded.trades, samples = excluded.samples, source = excluded.source
WHERE (candles.source <> 'exchange' OR excluded.source = 'exchange')
  AND (candles.open, candles.high, candles.low, candles.close, candles.volume, candles.trades, candles.samples, candles.source)
      IS DISTINCT FROM
      (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades, excluded.samples, excluded.source);
