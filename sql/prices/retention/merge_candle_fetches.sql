-- Merge time ranges with the same answer of the exchange that touch or overlap into one row, a month at a time, so that an
-- hourly backfill does not leave a row per hour forever. The information stays the same. Recent ranges are left alone, and
-- so are ranges with answers of both kinds. Returns the number of rows saved.
WITH merged AS (
  SELECT f.instrument_id, f.resolution, f.outcome, time_range
  FROM (
    SELECT instrument_id, resolution, outcome,
           range_agg(tstzrange(started_at, ended_at)) AS time_ranges
    FROM candle_fetches WHERE requested_at < :requested_before
    GROUP BY instrument_id, resolution, outcome, date_trunc('month', started_at, 'UTC')
  ) f
  CROSS JOIN LATERAL unnest(f.time_ranges) AS time_range
), counted AS (
  SELECT m.instrument_id, m.resolution, m.outcome, lower(m.time_range) AS started_at, upper(m.time_range) AS ended_at,
         sum(f.candles) AS candles, max(f.requested_at) AS requested_at, count(*) AS rows
  FROM merged m
  JOIN candle_fetches f ON (f.instrument_id, f.resolution, f.outcome) = (m.instrument_id, m.resolution, m.outcome)
   AND f.started_at >= lower(m.time_range) AND f.ended_at <= upper(m.time_range) AND f.requested_at < :requested_before
  WHERE NOT EXISTS (
    SELECT FROM candle_fetches o
    WHERE (o.instrument_id, o.resolution) = (m.instrument_id, m.resolution) AND o.outcome <> m.outcome
      AND o.started_at < upper(m.time_range) AND o.ended_at > lower(m.time_range)
  )
  GROUP BY m.instrument_id, m.resolution, m.outcome, m.time_range
  HAVING count(*) > 1
), deleted AS (
  DELETE FROM candle_fetches f USING counted c
  WHERE (f.instrument_id, f.resolution, f.outcome) = (c.instrument_id, c.resolution, c.outcome)
    AND f.started_at >= c.started_at AND f.ended_at <= c.ended_at AND f.requested_at < :requested_before
    AND (f.started_at, f.ended_at) <> (c.started_at, c.ended_at)
), stored AS (
  INSERT INTO candle_fetches (instrument_id, resolution, started_at, ended_at, outcome, candles, requested_at)
  SELECT instrument_id, resolution, started_at, ended_at, outcome, candles, requested_at FROM counted
  ON CONFLICT (instrument_id, resolution, started_at, ended_at) DO UPDATE
  SET candles = excluded.candles, requested_at = excluded.requested_at
)
SELECT coalesce(sum(rows - 1), 0) FROM counted;
