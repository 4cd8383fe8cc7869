-- A sender at work keeps what it claimed a while longer.
UPDATE outbox SET leased_until = :leased_until WHERE lease = :lease;
