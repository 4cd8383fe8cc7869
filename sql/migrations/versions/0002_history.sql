-- Years of prices: candles and what keeps them fresh, what the exchanges were asked for, gaps, retention.

-- In the order of trust: what is made of our own quotes, what is rolled up from the exchange's finer candles, and
-- what the exchange said of this very candle, which nothing but a later word of the exchange replaces.
CREATE TYPE candle_source AS ENUM ('quotes', 'rollup', 'exchange');

CREATE TYPE candle_resolution AS ENUM ('1m', '1h', '1d');

-- The key carries the prices, so that years of one instrument are read from a few pages of the index although the
-- rows of all instruments lie mixed in the table. No foreign key to instruments, as with prices.
CREATE TABLE candles (
  instrument_id integer NOT NULL,
  resolution candle_resolution NOT NULL,
  opened_at timestamptz NOT NULL,
  open double precision NOT NULL,
  high double precision NOT NULL,
  low double precision NOT NULL,
  close double precision NOT NULL,
  volume double precision,
  trades integer,
  samples integer,
  source candle_source NOT NULL,
  CONSTRAINT candles_pkey PRIMARY KEY (instrument_id, resolution, opened_at) INCLUDE (open, high, low, close, volume),
  CONSTRAINT candles_prices CHECK (low > 0 AND low <= open AND low <= close AND open <= high AND close <= high AND high < 'Infinity')
) PARTITION BY LIST (resolution);
CREATE TABLE candles_1m PARTITION OF candles (
  CONSTRAINT candles_1m_aligned CHECK (extract(epoch FROM opened_at)::bigint % 60 = 0)
) FOR VALUES IN ('1m');
CREATE TABLE candles_1h PARTITION OF candles (
  CONSTRAINT candles_1h_aligned CHECK (extract(epoch FROM opened_at)::bigint % 3600 = 0)
) FOR VALUES IN ('1h');
CREATE TABLE candles_1d PARTITION OF candles (
  CONSTRAINT candles_1d_aligned CHECK (extract(epoch FROM opened_at)::bigint % 86400 = 0)
) FOR VALUES IN ('1d');
COMMENT ON COLUMN candles.volume IS 'Traded within the candle, in the base currency; null where only 24 h volumes are known.';
COMMENT ON COLUMN candles.trades IS 'Number of trades where the exchange tells it.';
COMMENT ON COLUMN candles.samples IS 'Number of our own quotes it is made of; null where none.';

CREATE TABLE stale_candles (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  instrument_id integer NOT NULL,
  changed candle_resolution,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  CONSTRAINT stale_candles_order CHECK (first_at <= last_at)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON COLUMN stale_candles.changed IS 'The finest candles that changed; null where prices did.';
COMMENT ON TABLE stale_candles IS
  'Work: stretches in which prices or candles changed, so that the coarser candles over them have to be made again. '
  'Written in the transaction of the change, deleted in that of the new candles.';

CREATE TABLE latest_quotes (
  instrument_id integer CONSTRAINT latest_quotes_pkey PRIMARY KEY,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  received_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE latest_quotes IS 'The newest row of prices for each instrument, kept by the loader: what is latest costs the same after years.';
INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, bid, ask, received_at)
SELECT newest.*
FROM instruments i
CROSS JOIN LATERAL (
  SELECT p.instrument_id, p.observed_at, p.price, p.volume_24h, p.bid, p.ask, p.received_at
  FROM prices p WHERE p.instrument_id = i.id ORDER BY p.observed_at DESC LIMIT 1
) newest;
INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
SELECT instrument_id, NULL, min(observed_at), max(observed_at) FROM prices
GROUP BY instrument_id, date_trunc('day', observed_at, 'UTC');

CREATE TABLE candle_fetches (
  instrument_id integer NOT NULL REFERENCES instruments,
  resolution candle_resolution NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  outcome text NOT NULL CONSTRAINT candle_fetches_outcome_known CHECK (outcome IN ('stored', 'unavailable')),
  candles integer NOT NULL,
  requested_at timestamptz NOT NULL,
  CONSTRAINT candle_fetches_pkey PRIMARY KEY (instrument_id, resolution, started_at, ended_at),
  CONSTRAINT candle_fetches_order CHECK (started_at < ended_at)
);
COMMENT ON TABLE candle_fetches IS
  'Stretches of the past the exchange has answered for. unavailable: it has no candles there (any more), and is not asked again.';

CREATE TABLE gaps (
  instrument_id integer NOT NULL REFERENCES instruments,
  day date NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'open'
    CONSTRAINT gaps_status_known CHECK (status IN ('open', 'repaired', 'unavailable')),
  reason text,
  detected_at timestamptz NOT NULL,
  resolved_at timestamptz,
  CONSTRAINT gaps_pkey PRIMARY KEY (instrument_id, started_at),
  CONSTRAINT gaps_order CHECK (started_at < ended_at)
);
COMMENT ON COLUMN gaps.day IS 'The UTC day in which the gap lies; one that spans midnight is a row for each day.';
COMMENT ON COLUMN gaps.status IS 'unavailable: asked for, and the exchange has nothing to fill it with. It stays a hole.';
CREATE INDEX gaps_open ON gaps (instrument_id, started_at) WHERE status = 'open';

-- People name coins by code or by name, and every read of one instrument begins with that.
CREATE INDEX coins_by_name ON coins (lower(name));

ALTER TABLE exchange_status
  ADD COLUMN live_until timestamptz,
  ADD COLUMN history_free_at timestamptz;
COMMENT ON COLUMN exchange_status.live_until IS 'A live fetch is under way: calls for history wait until then, or until it is over.';
COMMENT ON COLUMN exchange_status.history_free_at IS 'When the next call for history may be made, by whichever worker.';

-- The only place that knows how the days of prices are stored, beside the two functions that make and drop them.
CREATE VIEW price_partitions AS
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day, c.oid AS relation
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'public.prices'::regclass;

-- Drops one day's partition of prices, for the application role, which does not own it. The answer is one of
--   dropped   gone, with all its prices
--   absent    there is no such partition (any more)
--   busy      somebody used prices for longer than we make everybody else wait: try again later
--   stale     prices of that day changed and their candles have not been made since: refresh, then try again
--   unjudged  the matcher has not judged all of it yet
-- Dropping a partition locks the whole of prices, so the wait for it is short, and what takes time (that every minute
-- has its candle) is looked at by the caller before. What was loaded between that look and the lock left a stale
-- stretch in the same transaction, and is seen here. The parent is locked before the partition, as every loader does,
-- so that the two cannot wait for each other in a circle.
CREATE FUNCTION drop_price_partition(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  partition text := 'prices_' || to_char(day, 'YYYYMMDD');
  day_start timestamptz := day::timestamp AT TIME ZONE 'UTC';
  day_end timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
  unjudged boolean;
BEGIN
  BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('coinwatch.create_price_partitions'));
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'public.prices'::regclass AND inhrelid = to_regclass('public.' || partition)) THEN
      RETURN 'absent';
    END IF;
    LOCK TABLE ONLY public.prices IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE ONLY public.%I IN ACCESS EXCLUSIVE MODE', partition);
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'busy';
  END;
  IF EXISTS (SELECT FROM stale_candles WHERE changed IS NULL AND first_at < day_end AND last_at >= day_start) THEN
    RETURN 'stale';
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT FROM evaluation_watermarks m JOIN public.%I p ON p.instrument_id = m.instrument_id'
                 ' AND p.observed_at > m.evaluated_to WHERE m.evaluated_to < $1)', partition) INTO unjudged USING day_end;
  IF unjudged THEN
    RETURN 'unjudged';
  END IF;
  EXECUTE format('DROP TABLE public.%I', partition);
  RETURN 'dropped';
END $$;
REVOKE EXECUTE ON FUNCTION drop_price_partition(date) FROM PUBLIC;

CREATE OR REPLACE VIEW latest_prices AS
SELECT w.exchange, w.base, w.quote, w.pair, w.exchange_name, w.coin_name,
       l.price, l.volume_24h, l.bid, l.ask, l.observed_at, l.received_at, w.instrument_id
FROM watched_instruments w
JOIN latest_quotes l ON l.instrument_id = w.instrument_id;

CREATE VIEW candle_history AS
SELECT e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair, c.resolution, c.opened_at, c.open, c.high,
       c.low, c.close, c.volume, c.trades, c.samples, c.source, c.instrument_id
FROM candles c
JOIN instruments i ON i.id = c.instrument_id
JOIN exchanges e ON e.id = i.exchange_id;

-- A row per coin and UTC day in US dollars (else USDT, else USDC), in CryptoMonitor's columns. Prices are the index's,
-- on days without one those of the exchange with the largest volume; volume is what was traded within the day on all
-- exchanges that tell it, in the coin.
CREATE VIEW daily_ohlcv AS
SELECT DISTINCT ON (i.base, d.day) i.base AS symbol, d.day, c.open, c.high, c.low, c.close,
       sum(c.volume) OVER (PARTITION BY i.base, d.day, i.quote ORDER BY i.id
                           ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS volume
FROM candles c
JOIN instruments i ON i.id = c.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
CROSS JOIN LATERAL (SELECT (c.opened_at AT TIME ZONE 'UTC')::date AS day) d
WHERE c.resolution = '1d' AND i.quote IN ('USD', 'USDT', 'USDC')
ORDER BY i.base, d.day, array_position(ARRAY['USD', 'USDT', 'USDC'], i.quote), e.code <> 'index', e.simulated,
         c.volume DESC NULLS LAST, e.code;

CREATE VIEW gap_history AS
SELECT e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair, g.day, g.started_at, g.ended_at, g.status,
       g.reason, g.detected_at, g.resolved_at, g.instrument_id
FROM gaps g
JOIN instruments i ON i.id = g.instrument_id
JOIN exchanges e ON e.id = i.exchange_id;
