-- Deletes extremes of periods or instruments that no rule watches now, because they don't follow the quotes, and those of
-- hours before the pending quotes.
DELETE FROM period_extremes
WHERE window_seconds <> ALL (CAST(:periods AS integer[]))
   OR instrument_id <> ALL (CAST(:instruments AS integer[]))
   OR hour < (SELECT date_bin('1 hour', min(observed_at), '2000-01-01 00:00+00') FROM pending_quotes);
