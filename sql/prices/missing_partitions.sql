-- Days without a partition of prices.
SELECT day FROM unnest(CAST(:days AS date[])) AS day
WHERE to_regclass('public.prices_' || to_char(day, 'YYYYMMDD')) IS NULL
ORDER BY day;
