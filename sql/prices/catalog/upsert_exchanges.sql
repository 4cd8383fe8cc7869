-- Insert or update the configured exchanges. `enabled` is only set on insert; afterward it is the operator's choice.
MERGE INTO exchanges AS known
USING (
  SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:names AS text[]), CAST(:enabled AS boolean[]), CAST(:simulated AS boolean[]),
                       CAST(:aggregators AS boolean[]))
    AS given (code, name, enabled, simulated, aggregator)
) AS given ON known.code = given.code
WHEN MATCHED AND (known.name, known.simulated, known.aggregator) IS DISTINCT FROM (given.name, given.simulated, given.aggregator) THEN
  UPDATE SET name = given.name, simulated = given.simulated, aggregator = given.aggregator
WHEN NOT MATCHED THEN
  INSERT (code, name, enabled, simulated, aggregator) VALUES (given.code, given.name, given.enabled, given.simulated, given.aggregator);
