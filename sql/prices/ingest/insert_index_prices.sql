-- Insert the index: for each base and dollar-like quote currency, the median of the fresh prices of all enabled exchanges,
-- so that one exchange's bad tick fires no alert. It is observed when the newest of these prices was, so computing it
-- again from the same prices gives the same row. Simulated exchanges count only if no real one has a price.
WITH fresh AS (
  SELECT w.base, w.quote, w.simulated, p.price, p.volume_24h, p.observed_at
  FROM watched_instruments w
  CROSS JOIN LATERAL (
    SELECT price, volume_24h, observed_at FROM prices
    WHERE prices.instrument_id = w.instrument_id AND observed_at > :fresh_after AND observed_at <= :as_of
    ORDER BY observed_at DESC LIMIT 1
  ) p
  WHERE w.exchange <> 'index' AND w.quote IN ('USD', 'USDT', 'USDC')
), weighed AS (
  SELECT *, bool_or(NOT simulated) OVER (PARTITION BY base, quote) AS has_real FROM fresh
), index_prices AS (
  SELECT w.instrument_id, max(f.observed_at) AS observed_at,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY f.price) AS price, sum(f.volume_24h) AS volume_24h
  FROM weighed f
  JOIN watched_instruments w ON (w.exchange, w.base, w.quote) = ('index', f.base, f.quote)
  WHERE NOT (f.simulated AND f.has_real)
  GROUP BY w.instrument_id
), inserted AS (
  INSERT INTO prices (instrument_id, observed_at, price, volume_24h, received_at)
  SELECT instrument_id, observed_at, price, volume_24h, :as_of FROM index_prices ORDER BY instrument_id
  ON CONFLICT (instrument_id, observed_at) DO NOTHING
  RETURNING instrument_id, observed_at, price, volume_24h, received_at
), stale AS (
  INSERT INTO stale_candles (instrument_id, first_at, last_at)
  SELECT instrument_id, observed_at, observed_at FROM inserted
), latest AS (
  INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, received_at)
  SELECT * FROM inserted ORDER BY instrument_id
  ON CONFLICT (instrument_id) DO UPDATE
  SET observed_at = excluded.observed_at, price = excluded.price, volume_24h = excluded.volume_24h,
      bid = NULL, ask = NULL, received_at = excluded.received_at
  WHERE excluded.observed_at > latest_quotes.observed_at
)
SELECT count(*) FROM inserted;
