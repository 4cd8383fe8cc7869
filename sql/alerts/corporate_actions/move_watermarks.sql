-- The new coin's first value is compared with nothing.
UPDATE evaluation_watermarks
SET instrument_id = :new_id, last_value = NULL, last_at = NULL, last_divisor = 1
WHERE instrument_id = :instrument_id;
