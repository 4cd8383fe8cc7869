-- deviation_from_average: each value against the mean of those in the :window before it, itself left out. Added up are
-- whole units (2^20 to the quote currency, so that coins worth next to nothing have some) and 2^62ths of units: the sum
-- of integers is the same whichever way it comes about (sweep_from_average), that of fractions is not.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
WITH compared AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, before.average AS reference, before.first_at AS reference_at,
         100 * (q.value - before.average) / before.average AS change_percent,
         row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at) AS turn,
         count(*) OVER (PARTITION BY q.instrument_id, q.metric) AS turns
  FROM judged_quotes q
  CROSS JOIN LATERAL (
    SELECT (CAST(sum(CAST(trunc(units) AS bigint)) AS double precision)
            + CAST(sum(CAST(4611686018427387904 * (units - trunc(units)) AS bigint)) AS double precision) / 4611686018427387904)
           / count(*) / CASE q.metric WHEN 'price' THEN 1048576 ELSE 1 END AS average,
           min(prices.observed_at) AS first_at
    FROM prices
    CROSS JOIN LATERAL (SELECT least(CASE q.metric WHEN 'price' THEN 1048576 * price ELSE volume_24h END, 9e18) AS units) counted
    WHERE prices.instrument_id = q.instrument_id
      AND prices.observed_at < q.observed_at AND prices.observed_at >= q.observed_at - CAST(:window AS interval)
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND (q.metric = 'price' OR volume_24h IS NOT NULL)
    HAVING count(*) > 0
  ) before
  WHERE q.value IS NOT NULL AND before.average > 0
    AND (CAST(:instruments AS integer[]) IS NULL OR q.instrument_id = ANY (CAST(:instruments AS integer[])))
)
SELECT instrument_id, metric, :kind, :seconds, turn, turns, observed_at, value, reference, reference_at, change_percent
FROM compared
WHERE (1 + 1e-12) * abs(change_percent) >= :lowest;
