-- UTC days before :limit of which there is a partition of prices, the oldest first.
SELECT day FROM price_partitions WHERE day < :limit ORDER BY day;
