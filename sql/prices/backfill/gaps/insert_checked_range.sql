-- Check one time range of one instrument.
INSERT INTO checked_ranges (instrument_id, started_at, ended_at, tolerance, reason)
VALUES (:instrument_id, :started_at, :ended_at, :tolerance, :reason);
