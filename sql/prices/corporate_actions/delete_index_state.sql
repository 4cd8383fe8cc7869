-- The index of a reused ticker starts anew.
DELETE FROM index_state WHERE instrument_id = :instrument_id;
