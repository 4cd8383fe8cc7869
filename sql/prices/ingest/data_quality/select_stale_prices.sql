-- Watched instruments without a price since :stale_before, of exchanges that have been fetched and are not rate limited, with
-- the number of watched instruments of the exchange; without those that their exchange does not trade at present. The index is stale only if an exchange has had a newer price since
-- before :computed_before, so that there was time to compute it.
SELECT w.exchange, w.pair, l.observed_at, s.last_attempt_at, s.failures, s.last_error,
       (SELECT count(*) FROM watched_instruments o WHERE o.exchange = w.exchange) AS watched
FROM watched_instruments w
LEFT JOIN latest_quotes l ON l.instrument_id = w.instrument_id
LEFT JOIN exchange_health s ON s.exchange = w.exchange
WHERE NOT EXISTS (SELECT FROM trading_halts h WHERE h.instrument_id = w.instrument_id)
  AND (l.observed_at IS NULL OR l.observed_at < :stale_before)
  AND CASE WHEN w.exchange = 'index' THEN EXISTS (
        SELECT FROM watched_instruments o
        JOIN latest_quotes newer ON newer.instrument_id = o.instrument_id
        WHERE o.exchange <> 'index' AND (o.base, o.quote) = (w.base, w.quote)
          AND newer.observed_at >= :stale_before AND newer.received_at < :computed_before)
      ELSE s.last_attempt_at IS NOT NULL AND (s.blocked_until IS NULL OR s.blocked_until <= :now) END
ORDER BY w.exchange, w.pair;
