-- Before the real table in this session's sight, where the question reaches beyond the prices that are kept: prices as
-- far as there are any, before that the closes of the minutes, each at the end of its minute.
CREATE TEMPORARY TABLE prices AS
SELECT instrument_id, opened_at + interval '1 minute' AS observed_at, close AS price, CAST(NULL AS double precision) AS volume_24h
FROM public.candles
WHERE instrument_id = :instrument_id AND resolution = '1m' AND opened_at >= :oldest - interval '1 minute'
  AND opened_at < least(:newest, CAST(:kept_since AS timestamptz)) - interval '1 minute'
UNION ALL
SELECT instrument_id, observed_at, price, volume_24h FROM public.prices
WHERE instrument_id = :instrument_id AND observed_at >= greatest(:oldest, CAST(:kept_since AS timestamptz)) AND observed_at <= :newest;
