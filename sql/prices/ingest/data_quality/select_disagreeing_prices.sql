-- Fresh prices that deviate from the median of their coin by more than :limit_percent if there are three or more; if there
-- are two, both, if they are further apart than that. Prices in the same dollar-like currency are compared, or in all
-- dollar-like currencies if there are fewer than three. Simulated exchanges count only for coins that no real exchange is
-- enabled for, as in the index.
WITH fresh AS (
  SELECT w.exchange, w.base, w.quote, w.pair, l.price, l.observed_at
  FROM watched_instruments i
  JOIN watched_instruments w ON w.base = i.base AND w.quote = i.quote AND w.simulated = i.simulated
  JOIN latest_quotes l ON l.instrument_id = w.instrument_id
  WHERE i.exchange = 'index' AND w.exchange <> 'index' AND l.observed_at > :fresh_after
), compared AS (
  SELECT *, count(*) OVER (PARTITION BY base, quote) AS same_quote FROM fresh
), medians AS (
  SELECT base, quote, count(*) AS prices, percentile_cont(0.5) WITHIN GROUP (ORDER BY price) AS median
  FROM compared GROUP BY GROUPING SETS ((base, quote), (base))
)
SELECT c.exchange, c.base, c.pair, c.price, c.observed_at, m.prices, m.median, 100 * (c.price / m.median - 1) AS percent
FROM compared c
JOIN medians m ON m.base = c.base AND m.quote IS NOT DISTINCT FROM CASE WHEN c.same_quote >= 3 THEN c.quote END
WHERE 100 * abs(c.price / m.median - 1) > CAST(:limit_percent AS float8) / CASE WHEN m.prices = 2 THEN 2 ELSE 1 END
ORDER BY c.base, c.exchange, c.pair;
