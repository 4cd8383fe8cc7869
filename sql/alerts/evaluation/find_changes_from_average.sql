-- deviation_from_average: each value compared with the mean of those in the :window before it, excluding itself. The
-- sum adds integers, whole 64ths and 2^62ths of a 64th (for coins worth next to nothing), because a sum of integers
-- does not depend on the order of its terms (see scan_changes), unlike a sum of floating-point numbers.
-- Values beyond 10^17, which no coin has, are left out. Values are divided by their divisors before they are averaged and
-- compared (see find_changes_since_last); the reference is stated in the terms of the value.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
WITH compared AS (
  SELECT q.instrument_id, q.metric, q.observed_at, q.value, before.average * q.divisor AS reference,
         before.first_at AS reference_at, 100 * (q.value / q.divisor - before.average) / before.average AS change_percent,
         row_number() OVER (PARTITION BY q.instrument_id, q.metric ORDER BY q.observed_at) AS position,
         count(*) OVER (PARTITION BY q.instrument_id, q.metric) AS total
  FROM pending_quotes q
  CROSS JOIN LATERAL (
    SELECT (CAST(sum(CAST(trunc(units) AS bigint)) AS double precision)
            + CAST(sum(CAST(4611686018427387904 * (units - trunc(units)) AS bigint)) AS double precision) / 4611686018427387904)
           / (64 * count(*)) AS average,
           min(prices.observed_at) AS first_at
    FROM prices
    CROSS JOIN LATERAL (
      SELECT 64 * CASE q.metric WHEN 'price' THEN price / coalesce(divisors[1], 1) ELSE volume_24h / coalesce(divisors[2], 1) END AS units
    ) counted
    WHERE prices.instrument_id = q.instrument_id
      AND prices.observed_at < q.observed_at AND prices.observed_at >= q.observed_at - CAST(:window AS interval)
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND units < 9e18
    HAVING count(*) > 0
  ) before
  WHERE 64 * q.value / q.divisor < 9e18 AND before.average > 0
    AND (CAST(:instruments AS integer[]) IS NULL OR q.instrument_id = ANY (CAST(:instruments AS integer[])))
)
SELECT instrument_id, metric, :kind, :seconds, position, total, observed_at, value, reference, reference_at,
       change_percent
FROM compared
WHERE (1 + 1e-12) * abs(change_percent) >= :lowest;
