-- The newest value of each subject (an instrument, metric, kind of rule and window), and what its kind compares it with, as
-- the evaluation does (find_changes_*.sql): the value before it, the one a window earlier, or the mean of the window; for
-- crosses nothing. Null where there is none. :oldest and :newest limit the prices read, so that the planner prunes the
-- partitions of other days; see find_changes_over_window.sql for the row comparison and the candle.
SELECT subject.number, q.observed_at, q.value, before.value * q.divisor AS reference, before.observed_at AS reference_at,
       100 * (q.value / q.divisor - before.value) / nullif(before.value, 0) AS change_percent
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:metrics AS text[]), CAST(:kinds AS text[]), CAST(:windows AS integer[]))
  WITH ORDINALITY subject (instrument_id, metric, kind, seconds, number)
CROSS JOIN LATERAL (
  SELECT observed_at, CASE metric WHEN 'price' THEN price ELSE volume_24h END AS value,
         coalesce(divisors[CASE metric WHEN 'price' THEN 1 ELSE 2 END], 1) AS divisor
  FROM latest_quotes WHERE latest_quotes.instrument_id = subject.instrument_id
) q
LEFT JOIN LATERAL (
  SELECT prices.observed_at,
         CASE metric WHEN 'price' THEN price / coalesce(divisors[1], 1) ELSE volume_24h / coalesce(divisors[2], 1) END AS value
  FROM prices
  WHERE kind IN ('change_since_last', 'change_over_window') AND prices.instrument_id = subject.instrument_id
    AND (prices.observed_at, prices.instrument_id)
        <= (q.observed_at - greatest(make_interval(secs => seconds), interval '1 microsecond'), subject.instrument_id)
    AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
    AND prices.observed_at >= q.observed_at - make_interval(secs => seconds) - CAST(:slack AS interval)
    AND (metric = 'price' OR volume_24h IS NOT NULL)
  ORDER BY prices.observed_at DESC LIMIT 1
) recorded ON true
LEFT JOIN LATERAL (
  SELECT opened_at + interval '1 minute' AS observed_at,
         close / coalesce((SELECT price_divisor FROM index_divisors d
                           WHERE d.instrument_id = subject.instrument_id AND d.started_at < opened_at + interval '1 minute'
                           ORDER BY d.started_at DESC LIMIT 1), 1) AS value
  FROM candles
  WHERE recorded.observed_at IS NULL AND kind = 'change_over_window' AND metric = 'price'
    AND candles.instrument_id = subject.instrument_id AND resolution = '1m'
    AND opened_at <= q.observed_at - make_interval(secs => seconds) - interval '1 minute'
    AND opened_at >= q.observed_at - make_interval(secs => seconds) - CAST(:slack AS interval)
  ORDER BY opened_at DESC LIMIT 1
) minute ON true
LEFT JOIN LATERAL (
  SELECT min(prices.observed_at) AS observed_at,
         (CAST(sum(CAST(trunc(units) AS bigint)) AS double precision)
          + CAST(sum(CAST(4611686018427387904 * (units - trunc(units)) AS bigint)) AS double precision) / 4611686018427387904)
         / (64 * count(*)) AS value
  FROM prices
  CROSS JOIN LATERAL (
    SELECT 64 * CASE metric WHEN 'price' THEN price / coalesce(divisors[1], 1) ELSE volume_24h / coalesce(divisors[2], 1) END AS units
  ) counted
  WHERE kind = 'deviation_from_average' AND prices.instrument_id = subject.instrument_id
    AND prices.observed_at < q.observed_at AND prices.observed_at >= q.observed_at - make_interval(secs => seconds)
    AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
    AND units < 9e18
  HAVING count(*) > 0
) average ON true
CROSS JOIN LATERAL (
  SELECT coalesce(recorded.observed_at, minute.observed_at, average.observed_at) AS observed_at,
         coalesce(recorded.value, minute.value, average.value) AS value
) before
WHERE q.value IS NOT NULL
ORDER BY subject.number;
