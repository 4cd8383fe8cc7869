-- As create_prices, for an index: the closes of minute candles have the divisor of their last price.
CREATE TEMPORARY VIEW prices AS
SELECT minutes.instrument_id, minutes.observed_at, minutes.price, CAST(NULL AS double precision) AS volume_24h,
       (SELECT ARRAY[d.price_divisor, 1] FROM public.index_divisors d
        WHERE d.instrument_id = minutes.instrument_id AND d.started_at < minutes.observed_at
        ORDER BY d.started_at DESC LIMIT 1) AS divisors
FROM (
  SELECT instrument_id, opened_at + interval '1 minute' AS observed_at, close AS price
  FROM public.candles
  WHERE instrument_id = CAST(current_setting('coinwatch.instrument_id') AS integer) AND resolution = '1m'
    AND opened_at >= CAST(current_setting('coinwatch.oldest') AS timestamptz) - interval '1 minute'
    AND opened_at <= CAST(current_setting('coinwatch.newest') AS timestamptz) - interval '1 minute'
    AND opened_at < CAST(current_setting('coinwatch.first_price_at') AS timestamptz) - interval '1 minute'
  OFFSET 0
) minutes
UNION ALL
SELECT instrument_id, observed_at, price, volume_24h, divisors FROM public.prices
WHERE observed_at >= CAST(current_setting('coinwatch.first_price_at') AS timestamptz);
