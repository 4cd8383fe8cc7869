-- Instruments whose price did not change in (:since, :now] in at least :min_quotes quotes, while on the other exchanges it
-- moved by :moved_percent or more (the median of their ranges). Simulated exchanges are compared only with each other. The
-- bounds are parameters, so that one or two partitions of prices are read.
WITH moves AS (
  SELECT w.exchange, w.base, w.pair, w.simulated, m.quotes, m.low, m.high, m.last_at,
         CASE WHEN w.quote IN ('USD', 'USDT', 'USDC') THEN 'USD' ELSE w.quote END AS currency
  FROM watched_instruments w
  CROSS JOIN LATERAL (
    SELECT count(*) AS quotes, min(price) AS low, max(price) AS high, max(observed_at) AS last_at
    FROM prices
    WHERE prices.instrument_id = w.instrument_id AND observed_at > :since AND observed_at <= :now
    OFFSET 0
  ) m
  WHERE w.exchange <> 'index' AND m.quotes > 0
)
SELECT f.exchange, f.pair, f.low AS price, f.quotes, f.last_at, count(*) AS others,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY 100 * (o.high / o.low - 1)) AS moved_percent
FROM moves f
JOIN moves o ON (o.base, o.currency, o.simulated) = (f.base, f.currency, f.simulated) AND o.exchange <> f.exchange
WHERE f.low = f.high AND f.quotes >= :min_quotes
GROUP BY f.exchange, f.pair, f.low, f.quotes, f.last_at
HAVING percentile_cont(0.5) WITHIN GROUP (ORDER BY 100 * (o.high / o.low - 1)) >= :moved_percent
ORDER BY f.exchange, f.pair;
