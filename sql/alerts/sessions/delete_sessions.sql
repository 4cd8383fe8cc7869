-- Ends the sessions with these tokens.
DELETE FROM sessions WHERE token_hash = ANY (CAST(:token_hashes AS bytea[]));
