-- Enable or disable an exchange.
UPDATE exchanges SET enabled = :enabled WHERE code = :exchange AND code <> 'index' RETURNING code;
