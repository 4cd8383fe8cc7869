-- Update the newest quote of each instrument in the batch, unless a newer one is known. Of two quotes at the same time the
-- first counts, as in prices; one that conflicts with a stored quote is not newer. So it is always a stored quote.
INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
SELECT DISTINCT ON (instrument_id) instrument_id, observed_at, price, volume_24h, bid, ask, received_at
FROM quote_batch
ORDER BY instrument_id, observed_at DESC, ctid
ON CONFLICT (instrument_id) DO UPDATE
SET observed_at = excluded.observed_at, price = excluded.price, volume_24h = excluded.volume_24h,
    bid = excluded.bid, ask = excluded.ask, received_at = excluded.received_at
WHERE excluded.observed_at > latest_quotes.observed_at;
