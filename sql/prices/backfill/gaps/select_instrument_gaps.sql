-- The gaps of one instrument within [:start, :end), oldest first; adjacent gaps with the same status and reason are one.
SELECT min(started_at) AS started_at, max(ended_at) AS ended_at, status, reason
FROM (
  SELECT *, count(*) FILTER (WHERE separate) OVER (ORDER BY started_at) AS number
  FROM (
    SELECT greatest(started_at, :start) AS started_at, least(ended_at, :end) AS ended_at, status, reason,
           (started_at, status, coalesce(reason, '')) IS DISTINCT FROM
             (lag(ended_at) OVER ordered, lag(status) OVER ordered, lag(coalesce(reason, '')) OVER ordered) AS separate
    FROM gaps
    WHERE instrument_id = :instrument_id AND status <> 'repaired'
      AND started_at > CAST(:start AS timestamptz) - interval '1 day' AND started_at < :end AND ended_at > :start
    WINDOW ordered AS (ORDER BY started_at)
  ) marked
) numbered
GROUP BY number, status, reason
ORDER BY started_at;
