-- Ends the session of an operator.
DELETE FROM operator_sessions WHERE token_hash = :token_hash
