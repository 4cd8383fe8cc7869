-- The history of an instrument could not be fetched. It is tried again a day after :failed_at, by the next run if that is null.
UPDATE history_backfills SET failed_at = :failed_at, error = :error WHERE instrument_id = :instrument_id;
