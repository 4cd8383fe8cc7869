-- Deletes the calls of callers that no limit counts any more.
DELETE FROM rate_limits WHERE delete_after <= :now
