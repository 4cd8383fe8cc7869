-- The first value that was judged.
SELECT min(observed_at) FROM judged_quotes WHERE value IS NOT NULL;
