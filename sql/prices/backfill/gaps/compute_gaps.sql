-- Compute the gaps of the checked ranges from the stored 1-minute candles: what has been filled is repaired, what is
-- missing and not recorded yet is a new gap in each of its UTC days, and adjacent gaps with the same status and reason are
-- combined. Outside the checked ranges, nothing changes.
WITH missing AS (
  SELECT c.instrument_id, c.reason, tstzrange(greatest(e.started_at, c.started_at), least(e.ended_at, c.ended_at)) AS range
  FROM checked_ranges c
  CROSS JOIN LATERAL (
    SELECT opened_at + interval '1 minute' AS started_at, lead(opened_at) OVER (ORDER BY opened_at) AS ended_at
    FROM (
      (SELECT opened_at FROM candles
       WHERE candles.instrument_id = c.instrument_id AND resolution = '1m' AND opened_at < c.started_at
       ORDER BY opened_at DESC LIMIT 1)
      UNION ALL
      SELECT opened_at FROM candles
      WHERE candles.instrument_id = c.instrument_id AND resolution = '1m'
        AND opened_at >= c.started_at AND opened_at < c.ended_at
      UNION ALL
      (SELECT opened_at FROM candles
       WHERE candles.instrument_id = c.instrument_id AND resolution = '1m' AND opened_at >= c.ended_at
       ORDER BY opened_at LIMIT 1)
    ) minutes
    OFFSET 0
  ) e
  WHERE e.started_at < c.ended_at
    AND (e.ended_at IS NULL OR e.ended_at > c.started_at AND e.ended_at - e.started_at > c.tolerance)
), checked AS (
  SELECT instrument_id, range_agg(tstzrange(c.started_at, c.ended_at)) AS checked,
         coalesce(m.missing, CAST('{}' AS tstzmultirange)) AS missing
  FROM checked_ranges c
  LEFT JOIN (SELECT instrument_id, range_agg(range) AS missing FROM missing GROUP BY instrument_id) m USING (instrument_id)
  GROUP BY instrument_id, m.missing
), recorded AS (
  SELECT DISTINCT g.instrument_id, g.status, g.reason, g.detected_at, g.resolved_at, tstzrange(g.started_at, g.ended_at) AS range
  FROM checked_ranges c
  JOIN gaps g ON g.instrument_id = c.instrument_id AND g.started_at >= c.started_at - interval '1 day'
             AND g.started_at <= c.ended_at AND g.ended_at >= c.started_at
), not_recorded AS (
  SELECT m.instrument_id, m.reason,
         unnest(multirange(m.range) - coalesce(r.ranges, CAST('{}' AS tstzmultirange))) AS range
  FROM missing m
  LEFT JOIN (
    SELECT instrument_id, range_agg(range) AS ranges FROM recorded WHERE status <> 'repaired' GROUP BY instrument_id
  ) r ON r.instrument_id = m.instrument_id
), unresolved AS (
  SELECT m.instrument_id, m.reason, r.detected_at, m.range * r.range AS range
  FROM missing m
  JOIN recorded r ON r.instrument_id = m.instrument_id AND r.range && m.range
  WHERE r.status = 'open'
  UNION ALL
  SELECT n.instrument_id, n.reason, :now, n.range * tstzrange(day, day + interval '1 day')
  FROM not_recorded n
  CROSS JOIN LATERAL generate_series(
    date_bin('1 day', lower(n.range), '2000-01-01 00:00+00'), upper(n.range) - interval '1 minute', interval '1 day') day
), parts AS (
  SELECT instrument_id, status, reason, detected_at, resolved_at,
         unnest(CASE status WHEN 'open' THEN multirange(range) - checked
                            WHEN 'unavailable' THEN multirange(range) - (checked - missing)
                            ELSE multirange(range) - missing END) AS range
  FROM recorded JOIN checked USING (instrument_id)
  UNION ALL
  SELECT instrument_id, 'repaired', NULL, detected_at, :now, unnest(multirange(range) * (checked - missing))
  FROM recorded JOIN checked USING (instrument_id)
  WHERE status <> 'repaired'
  UNION ALL
  SELECT instrument_id, 'open', NULL, detected_at, NULL, range FROM unresolved WHERE reason IS NULL
  UNION ALL
  SELECT u.instrument_id, 'unavailable', u.reason || coalesce((
           SELECT '; only 1-hour candles are available' FROM candles c
           WHERE c.instrument_id = u.instrument_id AND c.resolution = '1h'
             AND c.opened_at >= lower(u.range) AND c.opened_at <= upper(u.range) - interval '1 hour'
           LIMIT 1
         ), (
           SELECT '; only the 1-day candle is available' FROM candles c
           WHERE c.instrument_id = u.instrument_id AND c.resolution = '1d'
             AND c.opened_at >= lower(u.range) AND c.opened_at <= upper(u.range) - interval '1 day'
         ), ''),
         u.detected_at, :now, u.range
  FROM unresolved u WHERE u.reason IS NOT NULL
), numbered AS (
  SELECT *, count(*) FILTER (WHERE separate) OVER (PARTITION BY instrument_id, day, status, reason ORDER BY range) AS number
  FROM (
    SELECT *, lower(range) IS DISTINCT FROM
                lag(upper(range)) OVER (PARTITION BY instrument_id, day, status, reason ORDER BY range) AS separate
    FROM parts CROSS JOIN LATERAL (SELECT CAST(lower(range) AT TIME ZONE 'UTC' AS date) AS day) d
  ) p
)
INSERT INTO computed_gaps (instrument_id, day, started_at, ended_at, status, reason, detected_at, resolved_at)
SELECT instrument_id, day, min(lower(range)), max(upper(range)), status, reason, min(detected_at), max(resolved_at)
FROM numbered
GROUP BY instrument_id, day, status, reason, number;
