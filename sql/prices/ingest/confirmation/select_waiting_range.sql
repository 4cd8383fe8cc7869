-- When the first and the last of the waiting quotes were observed; null if none waits.
SELECT min(observed_at) AS oldest, max(observed_at) AS newest FROM unconfirmed_quotes WHERE rejected_at IS NULL;
