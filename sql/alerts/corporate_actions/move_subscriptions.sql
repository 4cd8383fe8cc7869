-- Rules on a reused ticker follow it to the new coin, and start anew there.
UPDATE subscriptions SET instrument_id = :new_id, armed = true, step_value = NULL, active_from = greatest(active_from, :effective_at)
WHERE instrument_id = :instrument_id;
