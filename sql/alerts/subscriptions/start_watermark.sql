-- Starts evaluating an instrument with its first subscription; its next value is compared with the current one.
INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to, last_value, last_at, last_divisor)
SELECT :instrument_id, CAST(:metric AS text), :now, latest.value, latest.observed_at, coalesce(latest.divisor, 1)
FROM (VALUES (1)) always
LEFT JOIN (
  SELECT observed_at, CASE CAST(:metric AS text) WHEN 'price' THEN price ELSE volume_24h END AS value,
         divisors[CASE CAST(:metric AS text) WHEN 'price' THEN 1 ELSE 2 END] AS divisor
  FROM latest_quotes WHERE instrument_id = :instrument_id AND observed_at <= :now
) latest ON latest.value IS NOT NULL
ON CONFLICT (instrument_id, metric) DO NOTHING;
