-- Quotes of the batch whose price differs from the one stored for their key.
SELECT b.instrument_id, b.observed_at, b.price, p.price AS stored_price
FROM quote_batch b
JOIN prices p ON (p.instrument_id, p.observed_at) = (b.instrument_id, b.observed_at)
WHERE p.price <> b.price;
