-- When the history of the instrument begins: its first candle; null if it has none.
SELECT least(
  (SELECT min(opened_at) FROM candles WHERE instrument_id = :instrument_id AND resolution = '1d'),
  (SELECT min(opened_at) FROM candles WHERE instrument_id = :instrument_id AND resolution = '1h'));
