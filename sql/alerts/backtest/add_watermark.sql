-- The evaluation begins at :start, with the last value at that time observed after :oldest_reference. That bound is a
-- parameter because a computed one would plan for every older partition.
INSERT INTO pg_temp.evaluation_watermarks (instrument_id, metric, evaluated_to, last_value, last_at, last_divisor)
SELECT :instrument_id, CAST(:metric AS text), :start, latest.value, latest.observed_at, coalesce(latest.divisor, 1)
FROM (VALUES (1)) always
LEFT JOIN (
  SELECT observed_at, CASE CAST(:metric AS text) WHEN 'price' THEN price ELSE volume_24h END AS value,
         divisors[CASE CAST(:metric AS text) WHEN 'price' THEN 1 ELSE 2 END] AS divisor
  FROM prices
  WHERE instrument_id = :instrument_id AND observed_at <= :start AND observed_at > :oldest_reference
    AND CASE CAST(:metric AS text) WHEN 'price' THEN price ELSE volume_24h END IS NOT NULL
  ORDER BY observed_at DESC LIMIT 1
) latest ON true;
