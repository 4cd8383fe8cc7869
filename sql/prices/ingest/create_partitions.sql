-- Create the partitions of every UTC day from :first_day to :last_day; returns their number.
SELECT create_price_partitions(CAST(:first_day AS date), CAST(:last_day AS date));
