-- Gaps whose beginning was filled or went into another: what became of them is among the judged.
DELETE FROM gaps g
USING looked_stretches l
WHERE g.instrument_id = l.instrument_id AND g.started_at >= l.started_at - interval '1 day'
  AND g.started_at <= l.ended_at AND g.ended_at >= l.started_at
  AND NOT EXISTS (SELECT FROM judged_gaps j WHERE j.instrument_id = g.instrument_id AND j.started_at = g.started_at);
