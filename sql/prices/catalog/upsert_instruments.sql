-- Insert or update the configured instruments.
MERGE INTO instruments AS known
USING (
  SELECT exchanges.id AS exchange_id, given.*
  FROM unnest(CAST(:exchanges AS text[]), CAST(:bases AS text[]), CAST(:quotes AS text[]), CAST(:symbols AS text[]))
    AS given (exchange, base, quote, symbol)
  JOIN exchanges ON exchanges.code = given.exchange
) AS given ON (known.exchange_id, known.base, known.quote) = (given.exchange_id, given.base, given.quote)
WHEN MATCHED AND (known.symbol <> given.symbol OR NOT known.enabled) THEN
  UPDATE SET symbol = given.symbol, enabled = true
WHEN NOT MATCHED THEN
  INSERT (exchange_id, base, quote, symbol) VALUES (given.exchange_id, given.base, given.quote, given.symbol);
