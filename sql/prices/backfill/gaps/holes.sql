-- Where one instrument has no prices within [:start, :end), oldest first: gaps that touch and say the same are one.
SELECT min(started_at) AS started_at, max(ended_at) AS ended_at, status, reason
FROM (
  SELECT *, count(*) FILTER (WHERE apart) OVER (ORDER BY started_at) AS number
  FROM (
    SELECT greatest(started_at, :start) AS started_at, least(ended_at, :end) AS ended_at, status, reason,
           (started_at, status, coalesce(reason, '')) IS DISTINCT FROM
             (lag(ended_at) OVER neighbours, lag(status) OVER neighbours, lag(coalesce(reason, '')) OVER neighbours) AS apart
    FROM gaps
    WHERE instrument_id = :instrument_id AND status <> 'repaired'
      AND started_at > CAST(:start AS timestamptz) - interval '1 day' AND started_at < :end AND ended_at > :start
    WINDOW neighbours AS (ORDER BY started_at)
  ) marked
) numbered
GROUP BY number, status, reason
ORDER BY started_at;
