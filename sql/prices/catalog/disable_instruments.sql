-- Disable instruments that are no longer configured; their history is kept.
UPDATE instruments SET enabled = false
FROM exchanges
WHERE instruments.enabled AND exchanges.id = instruments.exchange_id
  AND NOT EXISTS (
    SELECT 1
    FROM unnest(CAST(:exchanges AS text[]), CAST(:bases AS text[]), CAST(:quotes AS text[])) AS given (exchange, base, quote)
    WHERE (given.exchange, given.base, given.quote) = (exchanges.code, instruments.base, instruments.quote)
  );
