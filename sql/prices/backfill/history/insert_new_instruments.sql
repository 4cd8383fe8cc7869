-- Note the watched instruments of these exchanges whose history was never fetched, and begin checking them for gaps now: what
-- an exchange doesn't have is not a gap. The same for the index of their pairs.
WITH added AS (
  INSERT INTO history_backfills (instrument_id, started_at)
  SELECT instrument_id, :now FROM watched_instruments WHERE exchange = ANY (CAST(:exchanges AS text[]))
  ORDER BY instrument_id
  ON CONFLICT (instrument_id) DO NOTHING
  RETURNING instrument_id
)
INSERT INTO gap_checks (instrument_id, checked_until)
SELECT DISTINCT w.instrument_id, CAST(:now AS timestamptz)
FROM added
JOIN watched_instruments a ON a.instrument_id = added.instrument_id
JOIN watched_instruments w ON w.instrument_id = a.instrument_id OR w.exchange = 'index' AND w.base = a.base AND w.quote = a.quote
ON CONFLICT (instrument_id) DO NOTHING;
