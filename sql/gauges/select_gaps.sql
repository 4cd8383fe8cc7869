-- For each enabled exchange, its open gaps and the minutes since :since without prices of its instruments.
SELECT w.exchange, CAST(sum(o.gaps) AS integer) AS open, coalesce(sum(m.minutes), 0) AS missing_minutes
FROM watched_instruments w
CROSS JOIN LATERAL (
  SELECT count(*) AS gaps FROM gaps g WHERE g.instrument_id = w.instrument_id AND g.status = 'open'
) o
CROSS JOIN LATERAL (
  SELECT sum(extract(epoch FROM g.ended_at - greatest(g.started_at, CAST(:since AS timestamptz)))) / 60 AS minutes
  FROM gaps g
  WHERE g.instrument_id = w.instrument_id AND g.status <> 'repaired'
    AND g.started_at > CAST(:since AS timestamptz) - interval '1 day' AND g.ended_at > :since
) m
GROUP BY w.exchange
ORDER BY w.exchange;
