-- Extends the leases of a sender; emails that are not returned are no longer its own.
UPDATE outbox SET leased_until = :leased_until
WHERE id = ANY (CAST(:ids AS bigint[])) AND lease = :lease RETURNING id;
