-- The number of time ranges whose candles have to be refreshed.
SELECT count(*) FROM stale_candles;
