-- Drop the partition of one day; returns the outcome (see the function in the migration).
SELECT drop_price_partition(CAST(:day AS date));
