-- A sender at work keeps what it claimed a while longer; what does not come back is not its own any more.
UPDATE outbox SET leased_until = :leased_until
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
