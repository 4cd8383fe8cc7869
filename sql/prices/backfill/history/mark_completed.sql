-- The history of these instruments has been fetched as far back as it goes, at most :days.
UPDATE history_backfills SET completed_days = :days, failed_at = NULL, error = NULL
WHERE instrument_id = ANY (CAST(:instrument_ids AS integer[]));
