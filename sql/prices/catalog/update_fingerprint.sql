-- Store the fingerprint of the configuration that the catalog now matches.
INSERT INTO catalog_state (fingerprint) VALUES (:fingerprint)
ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint;
