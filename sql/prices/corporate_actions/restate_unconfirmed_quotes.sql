-- A quote in the new unit that waits, because it is far from the price before, is compared with that in the new unit.
UPDATE unconfirmed_quotes
SET reference = reference * :ratio, price = price * CASE WHEN observed_at < :effective_at THEN :ratio ELSE 1 END
WHERE instrument_id = :instrument_id;
