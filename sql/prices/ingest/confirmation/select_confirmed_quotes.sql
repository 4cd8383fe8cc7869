-- Waiting quotes that another exchange confirms: its price, observed at most :freshness apart, is within :limit (a fraction)
-- and nearer to the quote than to the price before it. Two quotes that both wait confirm each other. Dollar-like currencies
-- are treated as equal, and simulated exchanges only confirm each other. A quote that is no longer far from its reference,
-- which a corporate action has restated, needs no confirmation.
SELECT u.instrument_id, w.exchange, w.base, w.quote, w.symbol, u.observed_at, u.received_at, u.price, u.volume_24h, u.bid, u.ask,
       u.reference
FROM unconfirmed_quotes u
JOIN watched_instruments w ON w.instrument_id = u.instrument_id
WHERE u.rejected_at IS NULL AND (abs(u.price / u.reference - 1) <= CAST(:limit AS double precision) OR EXISTS (
  SELECT FROM watched_instruments o
  CROSS JOIN LATERAL (
    SELECT price, observed_at FROM latest_quotes WHERE latest_quotes.instrument_id = o.instrument_id
    UNION ALL
    SELECT price, observed_at FROM unconfirmed_quotes
    WHERE unconfirmed_quotes.instrument_id = o.instrument_id AND rejected_at IS NULL
  ) other
  WHERE o.base = w.base AND o.exchange NOT IN ('index', w.exchange) AND o.simulated = w.simulated
    AND (o.quote = w.quote OR (o.quote IN ('USD', 'USDT', 'USDC') AND w.quote IN ('USD', 'USDT', 'USDC')))
    AND other.observed_at BETWEEN u.observed_at - CAST(:freshness AS interval) AND u.observed_at + CAST(:freshness AS interval)
    AND abs(other.price / u.price - 1) <= CAST(:limit AS double precision)
    AND abs(ln(other.price / u.price)) <= abs(ln(other.price / u.reference))
))
ORDER BY u.observed_at;
