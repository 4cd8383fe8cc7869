-- Open unavailable gaps again and forget that the exchange had nothing there; the number of gaps. Exchange and coin
-- narrow it down, null means all. The index can never be asked.
WITH opened AS (
  UPDATE gaps SET status = 'open', reason = NULL, resolved_at = NULL
  FROM instruments i
  JOIN exchanges e ON e.id = i.exchange_id
  JOIN coins c ON c.code = i.base
  WHERE i.id = gaps.instrument_id AND gaps.status = 'unavailable' AND gaps.ended_at > :since AND e.code <> :index
    AND (CAST(:exchange AS text) IS NULL OR e.code = lower(CAST(:exchange AS text)))
    AND (CAST(:coin AS text) IS NULL OR lower(CAST(:coin AS text)) IN (lower(c.code), lower(c.name)))
  RETURNING gaps.instrument_id, gaps.started_at, gaps.ended_at, gaps.detected_at
), forgotten AS (
  DELETE FROM candle_fetches f
  USING opened
  WHERE f.instrument_id = opened.instrument_id AND f.outcome = 'unavailable'
    AND f.started_at < opened.ended_at AND f.ended_at > opened.started_at
)
SELECT count(*) FROM opened;
