-- Deletes extremes that were computed from prices in the old unit, or of the old coin.
DELETE FROM period_extremes WHERE instrument_id = :instrument_id;
