-- Copies every value observed after its instrument's watermark. Only instruments with a subscription have a watermark.
INSERT INTO pending_quotes (instrument_id, metric, observed_at, value, divisor)
SELECT w.instrument_id, w.metric, q.observed_at, q.value, q.divisor
FROM evaluation_watermarks w
CROSS JOIN LATERAL (
  SELECT observed_at, CASE w.metric WHEN 'price' THEN price ELSE volume_24h END AS value,
         coalesce(divisors[CASE w.metric WHEN 'price' THEN 1 ELSE 2 END], 1) AS divisor
  FROM prices
  WHERE prices.instrument_id = w.instrument_id AND observed_at > w.evaluated_to
    AND observed_at > :oldest AND observed_at <= :newest
  OFFSET 0
) q;
