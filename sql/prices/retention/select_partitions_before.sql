-- UTC days before :limit with a partition of prices, oldest first.
SELECT day FROM price_partitions WHERE day < :limit ORDER BY day;
