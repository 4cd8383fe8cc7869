-- Stretches whose candles wait to be made again.
SELECT count(*) FROM stale_candles;
