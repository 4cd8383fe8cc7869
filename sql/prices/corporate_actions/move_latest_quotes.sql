-- Gives the new coin what was recorded for its ticker since it was reused.
UPDATE latest_quotes SET instrument_id = :new_id WHERE instrument_id = :instrument_id AND observed_at >= :effective_at;
