-- The alerts that would have fired, oldest first.
SELECT observed_at, price, reference, reference_at, change_percent, steps FROM pg_temp.alerts ORDER BY observed_at;
