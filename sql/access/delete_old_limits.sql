-- Deletes the calls of callers that no limit counts anymore.
DELETE FROM rate_limits WHERE delete_after <= :now
