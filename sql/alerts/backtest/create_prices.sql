-- Hides the real table in this transaction if the backtest starts before the first stored price: prices where there are
-- any, before that the closes of minute candles, each at the end of its minute. OFFSET 0 computes that end once instead
-- of in every comparison.
CREATE TEMPORARY VIEW prices AS
SELECT * FROM (
  SELECT instrument_id, opened_at + interval '1 minute' AS observed_at, close AS price, CAST(NULL AS double precision) AS volume_24h,
         CAST(NULL AS double precision[]) AS divisors
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
