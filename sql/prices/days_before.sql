-- UTC days before :limit of which there is a partition of prices, the oldest first.
SELECT day FROM (
  SELECT to_date(right(relname, 8), 'YYYYMMDD') AS day
  FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
  WHERE inhparent = CAST('public.prices' AS regclass)
) partitions
WHERE day < :limit
ORDER BY day;
