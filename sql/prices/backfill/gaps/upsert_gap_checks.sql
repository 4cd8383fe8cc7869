-- Record that all watched instruments have been checked until :until.
INSERT INTO gap_checks (instrument_id, checked_until)
SELECT instrument_id, :until FROM watched_instruments ORDER BY instrument_id
ON CONFLICT (instrument_id) DO UPDATE SET checked_until = excluded.checked_until
WHERE gap_checks.checked_until < excluded.checked_until;
