-- Replaces what an index is chained to.
UPDATE index_state SET price = CAST(:price AS jsonb), volume = CAST(:volume AS jsonb) WHERE instrument_id = :instrument_id;
