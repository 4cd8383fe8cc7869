-- Records that an action has been applied to an instrument.
INSERT INTO corporate_actions (instrument_id, effective_at, old_per_new, applied_at)
VALUES (:instrument_id, :effective_at, :old_per_new, :now);
