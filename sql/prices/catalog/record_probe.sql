-- The first probe decides whether an exchange is on; later ones leave the operator's switch alone.
UPDATE exchanges SET enabled = :enabled, probed_at = :now WHERE code = :exchange AND probed_at IS NULL RETURNING code;
