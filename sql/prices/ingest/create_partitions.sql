-- Partitions for every UTC day from first to last; the number made.
SELECT create_price_partitions(CAST(:first_day AS date), CAST(:last_day AS date));
