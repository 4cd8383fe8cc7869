-- Configured coins into the table; one that left the configuration is switched off by switch_off_coins.
MERGE INTO coins AS known
USING (SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:names AS text[])) AS given (code, name)) AS given
  ON known.code = given.code
WHEN MATCHED AND (known.name <> given.name OR NOT known.enabled) THEN
  UPDATE SET name = given.name, enabled = true
WHEN NOT MATCHED THEN
  INSERT (code, name) VALUES (given.code, given.name);
