-- Insert candles, or replace those stored with the same key; an exchange's candle is replaced only by a newer one of the
-- exchange, and with :keep_more_complete by none that lacks a volume or number of trades that it has. Equal candles are not
-- written again. Of two rows with the same key in a batch, the last wins.
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, trades, samples, source)
SELECT DISTINCT ON (instrument_id, opened_at)
       instrument_id, CAST(:resolution AS candle_resolution), opened_at, open, high, low, close, volume, trades, samples, CAST(source AS candle_source)
FROM candle_batch
ORDER BY instrument_id, opened_at, ctid DESC
ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume,
    trades = excluded.trades, samples = excluded.samples, source = excluded.source
WHERE (candles.source <> 'exchange' OR excluded.source = 'exchange')
  AND (candles.source <> 'exchange' OR NOT CAST(:keep_more_complete AS boolean)
       OR (candles.volume IS NULL OR excluded.volume IS NOT NULL) AND (candles.trades IS NULL OR excluded.trades IS NOT NULL))
  AND (candles.open, candles.high, candles.low, candles.close, candles.volume, candles.trades, candles.samples, candles.source)
      IS DISTINCT FROM
      (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.trades, excluded.samples, excluded.source);
