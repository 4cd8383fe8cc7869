-- The last price of every coin at an exchange (in US dollars, or else a stablecoin) and its price at each of :moments: the
-- close of the candle that ended last by then, but not before the corresponding moment in :oldest. Daily candles, whose
-- close may have been observed a day earlier, count only if :oldest is a day before. For moments before the index began, the
-- median of the exchanges is used. Prices of the index are converted by its divisors, so that they can be compared with the
-- last one.
SELECT p.base, p.coin_name, p.exchange, p.quote, p.price, p.observed_at, ARRAY(
  SELECT CASE WHEN p.observed_at > m.moment THEN coalesce(
    (SELECT close * coalesce(p.divisors[1], 1) / coalesce(
              (SELECT price_divisor FROM index_divisors d
               WHERE d.instrument_id = p.instrument_id AND d.started_at < ended_at
               ORDER BY d.started_at DESC LIMIT 1), 1)
     FROM (
       (SELECT close, opened_at + interval '1 minute' AS ended_at, 0 AS precedence
        FROM candles c
        WHERE c.instrument_id = p.instrument_id AND c.resolution = '1m'
          AND c.opened_at <= m.moment - interval '1 minute' AND c.opened_at >= m.oldest - interval '1 minute'
        ORDER BY c.opened_at DESC LIMIT 1)
       UNION ALL
       (SELECT close, opened_at + interval '1 hour' AS ended_at, 1 AS precedence
        FROM candles c
        WHERE c.instrument_id = p.instrument_id AND c.resolution = '1h'
          AND c.opened_at <= m.moment - interval '1 hour' AND c.opened_at >= m.oldest - interval '1 hour'
        ORDER BY c.opened_at DESC LIMIT 1)
       UNION ALL
       (SELECT close, opened_at + interval '1 day' AS ended_at, 2 AS precedence
        FROM candles c
        WHERE c.instrument_id = p.instrument_id AND c.resolution = '1d'
          AND c.opened_at <= m.moment - interval '1 day' AND c.opened_at >= m.oldest - interval '1 day'
          AND m.moment - m.oldest >= interval '1 day'
        ORDER BY c.opened_at DESC LIMIT 1)
     ) candidates
     ORDER BY ended_at DESC, precedence LIMIT 1),
    CASE WHEN p.exchange = 'index' THEN
      (SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY hour.close) FILTER (WHERE NOT e.aggregator),
                       percentile_cont(0.5) WITHIN GROUP (ORDER BY hour.close))
              * coalesce(p.divisors[1], 1) / coalesce(
                  (SELECT price_divisor FROM index_divisors d
                   WHERE d.instrument_id = p.instrument_id AND d.started_at < m.moment
                   ORDER BY d.started_at DESC LIMIT 1), 1)
       FROM instruments i
       JOIN exchanges e ON e.id = i.exchange_id AND e.enabled AND NOT e.simulated
       CROSS JOIN LATERAL (
         SELECT close FROM candles c
         WHERE c.instrument_id = i.id AND c.resolution = '1h'
           AND c.opened_at <= m.moment - interval '1 hour' AND c.opened_at >= m.oldest - interval '1 hour'
         ORDER BY c.opened_at DESC LIMIT 1
       ) hour
       WHERE i.base = p.base AND i.quote = p.quote AND i.enabled)
    END
  ) END
  FROM unnest(CAST(:moments AS timestamptz[]), CAST(:oldest AS timestamptz[]))
       WITH ORDINALITY AS m (moment, oldest, number)
  ORDER BY number
) AS before
FROM (
  SELECT DISTINCT ON (base) *
  FROM latest_prices
  WHERE exchange = lower(:exchange) AND observed_at > :fresh_after
  ORDER BY base, array_position(ARRAY['USD', 'USDT', 'USDC'], quote), quote
) p;
