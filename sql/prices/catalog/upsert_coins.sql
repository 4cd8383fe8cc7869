-- Insert or update the configured coins.
MERGE INTO coins AS known
USING (
  SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:names AS text[])) WITH ORDINALITY AS given (code, name, position)
) AS given ON known.code = given.code
WHEN MATCHED AND (known.name, known.position, known.enabled) IS DISTINCT FROM (given.name, given.position, true) THEN
  UPDATE SET name = given.name, position = given.position, enabled = true
WHEN NOT MATCHED THEN
  INSERT (code, name, position) VALUES (given.code, given.name, given.position);
