-- The :at_most coins at an exchange that rose and that fell most since :moment, and how many could be compared. A price of
-- the moment is found as in prices/changes; but first the candle that ended last before it is looked for by its key, which
-- is at hand for most coins and takes half as long.
WITH priced AS (
  SELECT DISTINCT ON (base) *
  FROM latest_prices
  WHERE exchange = lower(:exchange) AND observed_at > :fresh_after AND observed_at > :moment
  ORDER BY base, array_position(ARRAY['USD', 'USDT', 'USDC'], quote), quote
), compared AS (
  SELECT p.base, p.coin_name, p.exchange, p.quote, p.price, p.observed_at, coalesce(
    nearest.close,
    CASE WHEN CAST(:resolution AS candle_resolution) = '1m' THEN
      (SELECT close FROM candles c
       WHERE c.instrument_id = p.instrument_id AND c.resolution = '1m'
         AND c.opened_at <= CAST(:moment AS timestamptz) - interval '1 minute'
         AND c.opened_at >= CAST(:oldest AS timestamptz) - interval '1 minute'
       ORDER BY c.opened_at DESC LIMIT 1)
    END,
    (SELECT close FROM candles c
     WHERE c.instrument_id = p.instrument_id AND c.resolution = '1h'
       AND c.opened_at <= CAST(:moment AS timestamptz) - interval '1 hour'
       AND c.opened_at >= CAST(:oldest AS timestamptz) - interval '1 hour'
     ORDER BY c.opened_at DESC LIMIT 1),
    (SELECT close FROM candles c
     WHERE c.instrument_id = p.instrument_id AND c.resolution = '1d'
       AND c.opened_at <= CAST(:moment AS timestamptz) - interval '1 day'
       AND c.opened_at >= CAST(:oldest AS timestamptz) - interval '1 day'
     ORDER BY c.opened_at DESC LIMIT 1),
    CASE WHEN p.exchange = 'index' THEN
      (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY hour.close)
       FROM instruments i
       JOIN exchanges e ON e.id = i.exchange_id AND e.enabled AND NOT e.simulated
       CROSS JOIN LATERAL (
         SELECT close FROM candles c
         WHERE c.instrument_id = i.id AND c.resolution = '1h'
           AND c.opened_at <= CAST(:moment AS timestamptz) - interval '1 hour'
           AND c.opened_at >= CAST(:oldest AS timestamptz) - interval '1 hour'
         ORDER BY c.opened_at DESC LIMIT 1
       ) hour
       WHERE i.base = p.base AND i.quote = p.quote AND i.enabled)
    END
  ) AS price_before
  FROM priced p
  LEFT JOIN candles nearest ON nearest.instrument_id = p.instrument_id
    AND nearest.resolution = CAST(:resolution AS candle_resolution) AND nearest.opened_at = :last_opened
), ranked AS (
  SELECT *, count(*) OVER () AS compared,
         row_number() OVER (ORDER BY price / price_before DESC, base) AS from_highest,
         row_number() OVER (ORDER BY price / price_before, base DESC) AS from_lowest
  FROM compared WHERE price_before IS NOT NULL
)
SELECT base, coin_name, exchange, quote, price, price_before, 100 * (price - price_before) / price_before AS change_percent,
       observed_at, compared
FROM ranked
WHERE from_highest <= :at_most OR from_lowest <= :at_most
ORDER BY from_highest;
