-- The history of an instrument could not be fetched; it is tried again later.
UPDATE history_backfills SET failed_at = :now, error = :error WHERE instrument_id = :instrument_id;
