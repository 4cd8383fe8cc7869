-- Every value beyond its instrument's watermark, which only instruments with a subscription have; the watermark moves in
-- the same look at the prices. A quote without a 24 h volume says nothing about volume.
WITH seen AS MATERIALIZED (
  SELECT m.instrument_id, m.metric, m.last_value, m.last_at, q.observed_at, q.value
  FROM match_watermarks m
  CROSS JOIN LATERAL (
    SELECT observed_at, CASE m.metric WHEN 'price' THEN price ELSE volume_24h END AS value
    FROM prices
    WHERE prices.instrument_id = m.instrument_id AND observed_at > m.judged_to
      AND observed_at > :oldest AND observed_at <= :newest
    ORDER BY observed_at
    OFFSET 0
  ) q
), told AS (
  SELECT DISTINCT ON (instrument_id, metric) instrument_id, metric, observed_at, value
  FROM seen WHERE value IS NOT NULL
  ORDER BY instrument_id, metric, observed_at DESC
), moved AS (
  UPDATE match_watermarks m
  SET judged_to = ends.judged_to, last_value = coalesce(told.value, m.last_value), last_at = coalesce(told.observed_at, m.last_at)
  FROM (SELECT instrument_id, metric, max(observed_at) AS judged_to FROM seen GROUP BY instrument_id, metric) ends
  LEFT JOIN told USING (instrument_id, metric)
  WHERE m.instrument_id = ends.instrument_id AND m.metric = ends.metric
)
INSERT INTO judged_quotes (instrument_id, metric, observed_at, value, last_value, last_at)
SELECT instrument_id, metric, observed_at, value,
       coalesce(lag(value) OVER in_time, last_value), coalesce(lag(observed_at) OVER in_time, last_at)
FROM seen
WHERE value IS NOT NULL
WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY observed_at);
