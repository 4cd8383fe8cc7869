-- Every value beyond its instrument's watermark, which only instruments with a subscription have.
INSERT INTO judged_quotes (instrument_id, metric, observed_at, value)
SELECT m.instrument_id, m.metric, q.observed_at, q.value
FROM evaluation_watermarks m
CROSS JOIN LATERAL (
  SELECT observed_at, CASE m.metric WHEN 'price' THEN price ELSE volume_24h END AS value
  FROM prices
  WHERE prices.instrument_id = m.instrument_id AND observed_at > m.evaluated_to
    AND observed_at > :oldest AND observed_at <= :newest
  OFFSET 0
) q;
