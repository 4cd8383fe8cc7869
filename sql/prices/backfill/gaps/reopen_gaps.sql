-- Reopen unavailable gaps and delete the records that the exchange has no candles for them; returns the number of gaps.
-- Exchange and coin are optional filters. The index cannot be fetched from an exchange.
WITH reopened AS (
  UPDATE gaps SET status = 'open', reason = NULL, resolved_at = NULL
  FROM instruments i
  JOIN exchanges e ON e.id = i.exchange_id
  JOIN coins c ON c.code = i.base
  WHERE i.id = gaps.instrument_id AND gaps.status = 'unavailable' AND gaps.ended_at > :since AND e.code <> :index
    AND (CAST(:exchange AS text) IS NULL OR e.code = lower(CAST(:exchange AS text)))
    AND (CAST(:coin AS text) IS NULL OR lower(CAST(:coin AS text)) IN (lower(c.code), lower(c.name)))
  RETURNING gaps.instrument_id, gaps.started_at, gaps.ended_at
), deleted AS (
  DELETE FROM candle_fetches f
  USING reopened
  WHERE f.instrument_id = reopened.instrument_id AND f.outcome = 'unavailable'
    AND f.started_at < reopened.ended_at AND f.ended_at > reopened.started_at
)
SELECT count(*) FROM reopened;
