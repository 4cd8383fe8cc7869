-- Delete the gaps of the checked ranges that are not among the computed ones: they were filled at their start, or combined
-- with the gap before.
DELETE FROM gaps g
USING checked_ranges c
WHERE g.instrument_id = c.instrument_id AND g.started_at >= c.started_at - interval '1 day'
  AND g.started_at <= c.ended_at AND g.ended_at >= c.started_at
  AND NOT EXISTS (
    SELECT FROM computed_gaps n WHERE n.instrument_id = g.instrument_id AND n.started_at = g.started_at
  );
