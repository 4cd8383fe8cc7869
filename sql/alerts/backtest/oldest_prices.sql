-- From which UTC day on the instrument's prices are kept, where it has minutes from before; no row where nothing is missing.
SELECT kept.since
FROM (SELECT min(day) AS since FROM price_partitions) kept
WHERE EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = '1m'
    AND opened_at < coalesce(CAST(kept.since AS timestamp) AT TIME ZONE 'UTC', 'infinity')
);
