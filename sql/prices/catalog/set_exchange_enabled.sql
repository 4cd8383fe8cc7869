-- The operator's switch.
UPDATE exchanges SET enabled = :enabled WHERE code = :exchange AND code <> 'index' RETURNING code;
