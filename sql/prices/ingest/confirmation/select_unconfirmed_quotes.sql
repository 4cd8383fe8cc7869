-- Quotes that wait for confirmation, and those rejected after :since, newest first.
SELECT w.exchange, w.base, w.quote, u.observed_at, u.price, u.reference, u.rejected_at
FROM unconfirmed_quotes u
JOIN watched_instruments w ON w.instrument_id = u.instrument_id
WHERE u.rejected_at IS NULL OR u.rejected_at > :since
ORDER BY u.observed_at DESC, w.exchange, w.base, w.quote;
