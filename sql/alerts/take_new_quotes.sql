-- Every value beyond its instrument's watermark, which only instruments with a subscription have. A quote without a 24 h
-- volume says nothing about volume.
INSERT INTO judged_quotes (instrument_id, metric, turn, observed_at, value, last_value, last_at)
SELECT m.instrument_id, m.metric, row_number() OVER in_time, q.observed_at, q.value,
       coalesce(lag(q.value) OVER in_time, m.last_value), coalesce(lag(q.observed_at) OVER in_time, m.last_at)
FROM match_watermarks m
CROSS JOIN LATERAL (
  SELECT observed_at, CASE m.metric WHEN 'price' THEN price ELSE volume_24h END AS value
  FROM prices
  WHERE prices.instrument_id = m.instrument_id AND observed_at > m.judged_to
    AND observed_at > :oldest AND observed_at <= :newest
  OFFSET 0
) q
WINDOW in_time AS (PARTITION BY m.instrument_id, m.metric, q.value IS NULL ORDER BY q.observed_at);
