-- Drop one day's partition; says what became of it (see the function in the migration).
SELECT drop_price_partition(CAST(:day AS date));
