-- The catalog is in line with this configuration now.
INSERT INTO catalog_state (fingerprint) VALUES (:fingerprint)
ON CONFLICT (only_row) DO UPDATE SET fingerprint = excluded.fingerprint;
