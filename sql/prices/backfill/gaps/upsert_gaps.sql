-- Store the computed gaps; returns the status of each row that is new or changed.
INSERT INTO gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at, resolved_at)
SELECT instrument_id, day, started_at, ended_at, status, reason, detected_at, resolved_at FROM computed_gaps
ORDER BY instrument_id, started_at
ON CONFLICT (instrument_id, started_at) DO UPDATE
SET ended_at = excluded.ended_at, status = excluded.status, reason = excluded.reason, detected_at = excluded.detected_at,
    resolved_at = excluded.resolved_at
WHERE (gaps.ended_at, gaps.status, gaps.reason, gaps.detected_at, gaps.resolved_at)
      IS DISTINCT FROM (excluded.ended_at, excluded.status, excluded.reason, excluded.detected_at, excluded.resolved_at)
RETURNING status;
