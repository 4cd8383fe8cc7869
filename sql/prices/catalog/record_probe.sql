-- Record a probe: the first one enables or disables the exchange, later ones keep the operator's choice.
UPDATE exchanges SET enabled = :enabled, probed_at = :now WHERE code = :exchange AND probed_at IS NULL RETURNING code;
