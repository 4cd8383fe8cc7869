-- From which UTC day on the instrument's prices are kept, where it has minutes from before; null where nothing is missing.
SELECT kept.since
FROM (
  SELECT min(to_date(right(child.relname, 8), 'YYYYMMDD')) AS since
  FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
  WHERE inhparent = 'public.prices'::regclass
) kept
WHERE EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = '1m'
    AND opened_at < coalesce(CAST(kept.since AS timestamp) AT TIME ZONE 'UTC', 'infinity')
);
