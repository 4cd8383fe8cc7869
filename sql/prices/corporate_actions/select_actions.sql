-- The actions that have been applied.
SELECT instrument_id, effective_at, old_per_new FROM corporate_actions;
