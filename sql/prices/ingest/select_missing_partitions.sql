-- Days without a partition of prices.
SELECT day FROM unnest(CAST(:days AS date[])) AS day
WHERE NOT EXISTS (SELECT FROM price_partitions p WHERE p.day = day.day)
ORDER BY day;
