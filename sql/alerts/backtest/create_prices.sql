-- Before the real table in this session's sight, where the question reaches beyond the prices that are kept: prices as
-- far as there are any, before that the closes of the minutes, each at the end of its minute. OFFSET 0 has that end worked
-- out once, not for every comparison.
CREATE TEMPORARY VIEW prices AS
SELECT * FROM (
  SELECT instrument_id, opened_at + interval '1 minute' AS observed_at, close AS price, CAST(NULL AS double precision) AS volume_24h
  FROM public.candles
  WHERE instrument_id = CAST(current_setting('coinwatch.instrument_id') AS integer) AND resolution = '1m'
    AND opened_at >= CAST(current_setting('coinwatch.oldest') AS timestamptz) - interval '1 minute'
    AND opened_at <= CAST(current_setting('coinwatch.newest') AS timestamptz) - interval '1 minute'
    AND opened_at < CAST(current_setting('coinwatch.kept_since') AS timestamptz) - interval '1 minute'
  OFFSET 0
) minutes
UNION ALL
SELECT instrument_id, observed_at, price, volume_24h FROM public.prices
WHERE observed_at >= CAST(current_setting('coinwatch.kept_since') AS timestamptz);
