-- The quotes of these instruments that wait for confirmation.
SELECT u.instrument_id, w.exchange, w.base, w.quote, w.symbol, u.observed_at, u.received_at, u.price, u.volume_24h, u.bid, u.ask,
       u.reference
FROM unconfirmed_quotes u
JOIN watched_instruments w ON w.instrument_id = u.instrument_id
WHERE u.rejected_at IS NULL AND u.instrument_id = ANY (CAST(:instrument_ids AS integer[]))
ORDER BY u.observed_at;
