-- When the first evaluated value was observed.
SELECT min(observed_at) FROM pending_quotes WHERE value IS NOT NULL;
