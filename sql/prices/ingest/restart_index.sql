-- Simulated prices are not the history of an index that now has real ones: delete its earlier prices and candles, and give the
-- time before its newest value that value's divisor. Returns the instruments that its candles are to be computed from anew.
WITH restarted AS (
  SELECT i.id AS instrument_id, i.base, i.quote, s.observed_at, CAST(s.price ->> 'divisor' AS double precision) AS divisor
  FROM index_state s JOIN instruments i ON i.id = s.instrument_id
  WHERE s.instrument_id = ANY (CAST(:instrument_ids AS integer[]))
), prices_deleted AS (
  DELETE FROM prices USING restarted r WHERE prices.instrument_id = r.instrument_id AND prices.observed_at < r.observed_at
), candles_deleted AS (
  DELETE FROM candles USING restarted r WHERE candles.instrument_id = r.instrument_id
), divisors_deleted AS (
  DELETE FROM index_divisors d USING restarted r WHERE d.instrument_id = r.instrument_id AND d.started_at < r.observed_at
), divisors_added AS (
  INSERT INTO index_divisors (instrument_id, started_at, price_divisor)
  SELECT instrument_id, '-infinity', divisor FROM restarted
), quotes_stale AS (
  INSERT INTO stale_candles (instrument_id, first_at, last_at)
  SELECT instrument_id, observed_at, observed_at FROM restarted
)
SELECT w.instrument_id
FROM restarted r
JOIN watched_instruments w ON w.base = r.base AND w.quote = r.quote AND w.exchange <> 'index' AND NOT w.simulated;
