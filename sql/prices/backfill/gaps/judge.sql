-- What the gaps over the stretches looked at have to be, by the candles of minutes that are there: what was filled is
-- repaired, what is empty and was not known is a new gap in each of its UTC days, and what touches and says the same is
-- one. Outside the stretches all stays as it is.
WITH hole AS (
  SELECT l.instrument_id, l.answer, tstzrange(greatest(e.started_at, l.started_at), least(e.ended_at, l.ended_at)) AS stretch
  FROM looked_stretches l
  CROSS JOIN LATERAL (
    SELECT opened_at + interval '1 minute' AS started_at, lead(opened_at) OVER (ORDER BY opened_at) AS ended_at
    FROM (
      (SELECT opened_at FROM candles
       WHERE candles.instrument_id = l.instrument_id AND resolution = '1m' AND opened_at < l.started_at
       ORDER BY opened_at DESC LIMIT 1)
      UNION ALL
      SELECT opened_at FROM candles
      WHERE candles.instrument_id = l.instrument_id AND resolution = '1m'
        AND opened_at >= l.started_at AND opened_at < l.ended_at
      UNION ALL
      (SELECT opened_at FROM candles
       WHERE candles.instrument_id = l.instrument_id AND resolution = '1m' AND opened_at >= l.ended_at
       ORDER BY opened_at LIMIT 1)
    ) minutes
    OFFSET 0
  ) e
  WHERE e.started_at < l.ended_at
    AND (e.ended_at IS NULL OR e.ended_at > l.started_at AND e.ended_at - e.started_at > l.tolerance)
), looked AS (
  SELECT instrument_id, range_agg(tstzrange(l.started_at, l.ended_at)) AS looked,
         coalesce(h.empty, CAST('{}' AS tstzmultirange)) AS empty
  FROM looked_stretches l
  LEFT JOIN (SELECT instrument_id, range_agg(stretch) AS empty FROM hole GROUP BY instrument_id) h USING (instrument_id)
  GROUP BY instrument_id, h.empty
), known AS (
  SELECT DISTINCT g.instrument_id, g.status, g.reason, g.detected_at, g.resolved_at, tstzrange(g.started_at, g.ended_at) AS stretch
  FROM looked_stretches l
  JOIN gaps g ON g.instrument_id = l.instrument_id AND g.started_at >= l.started_at - interval '1 day'
             AND g.started_at <= l.ended_at AND g.ended_at >= l.started_at
), fresh AS (
  SELECT h.instrument_id, h.answer,
         unnest(multirange(h.stretch) - coalesce(claimed.stretches, CAST('{}' AS tstzmultirange))) AS stretch
  FROM hole h
  LEFT JOIN (
    SELECT instrument_id, range_agg(stretch) AS stretches FROM known WHERE status <> 'repaired' GROUP BY instrument_id
  ) claimed ON claimed.instrument_id = h.instrument_id
), still_empty AS (
  SELECT h.instrument_id, h.answer, k.detected_at, h.stretch * k.stretch AS stretch
  FROM hole h
  JOIN known k ON k.instrument_id = h.instrument_id AND k.stretch && h.stretch
  WHERE k.status = 'open'
  UNION ALL
  SELECT f.instrument_id, f.answer, :now, f.stretch * tstzrange(day, day + interval '1 day')
  FROM fresh f
  CROSS JOIN LATERAL generate_series(
    date_bin('1 day', lower(f.stretch), '2000-01-01 00:00+00'), upper(f.stretch) - interval '1 minute', interval '1 day') day
), piece AS (
  SELECT instrument_id, status, reason, detected_at, resolved_at,
         unnest(CASE status WHEN 'open' THEN multirange(stretch) - looked
                            WHEN 'unavailable' THEN multirange(stretch) - (looked - empty)
                            ELSE multirange(stretch) - empty END) AS stretch
  FROM known JOIN looked USING (instrument_id)
  UNION ALL
  SELECT instrument_id, 'repaired', NULL, detected_at, :now, unnest(multirange(stretch) * (looked - empty))
  FROM known JOIN looked USING (instrument_id)
  WHERE status <> 'repaired'
  UNION ALL
  SELECT instrument_id, 'open', NULL, detected_at, NULL, stretch FROM still_empty WHERE answer IS NULL
  UNION ALL
  SELECT s.instrument_id, 'unavailable', s.answer || coalesce((
           SELECT '; only candles of hours are there' FROM candles c
           WHERE c.instrument_id = s.instrument_id AND c.resolution = '1h'
             AND c.opened_at >= lower(s.stretch) AND c.opened_at <= upper(s.stretch) - interval '1 hour'
           LIMIT 1
         ), (
           SELECT '; only the candle of the day is there' FROM candles c
           WHERE c.instrument_id = s.instrument_id AND c.resolution = '1d'
             AND c.opened_at >= lower(s.stretch) AND c.opened_at <= upper(s.stretch) - interval '1 day'
         ), ''),
         s.detected_at, :now, s.stretch
  FROM still_empty s WHERE s.answer IS NOT NULL
), numbered AS (
  SELECT *, count(*) FILTER (WHERE apart) OVER (PARTITION BY instrument_id, day, status, reason ORDER BY stretch) AS number
  FROM (
    SELECT *, lower(stretch) IS DISTINCT FROM
                lag(upper(stretch)) OVER (PARTITION BY instrument_id, day, status, reason ORDER BY stretch) AS apart
    FROM piece CROSS JOIN LATERAL (SELECT CAST(lower(stretch) AT TIME ZONE 'UTC' AS date) AS day) d
  ) p
)
INSERT INTO judged_gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at, resolved_at)
SELECT instrument_id, day, min(lower(stretch)), max(upper(stretch)), status, reason, min(detected_at), max(resolved_at)
FROM numbered
GROUP BY instrument_id, day, status, reason, number;
