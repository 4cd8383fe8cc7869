-- The instrument, with all its history, becomes one of the archived coin; a new one of the same pair takes its place.
WITH archived AS (
  UPDATE instruments SET base = :archived, enabled = false WHERE id = :instrument_id
  RETURNING exchange_id, quote, symbol
)
INSERT INTO instruments (exchange_id, base, quote, symbol)
SELECT exchange_id, :coin, quote, symbol FROM archived
RETURNING id;
