-- The first UTC day with stored prices, null if there is none; no row if the instrument has no minute candles before
-- it.
SELECT kept.first_day
FROM (SELECT min(day) AS first_day FROM price_partitions) kept
WHERE EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = '1m'
    AND opened_at < coalesce(CAST(kept.first_day AS timestamp) AT TIME ZONE 'UTC', 'infinity')
);
