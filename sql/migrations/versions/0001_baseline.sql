-- The schema of the first release. Times are UTC. Percentages are in percent, not fractions.
--
-- Sections: catalog, prices, candles, gaps, users and subscriptions, evaluation, outbox, alerts, held alerts, time
-- zones, partitions of prices, views.

-- Catalog -----------------------------------------------------------------------------------------

CREATE TABLE exchanges (
  id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CONSTRAINT exchanges_code_unique UNIQUE CONSTRAINT exchanges_code_check CHECK (code ~ '^[a-z0-9_]+$'),
  name text NOT NULL,
  enabled boolean NOT NULL DEFAULT false,
  simulated boolean NOT NULL DEFAULT false,
  probed_at timestamptz
);
COMMENT ON COLUMN exchanges.enabled IS 'Whether the pipeline fetches prices from it. Set by the first probe, changed by operators.';
COMMENT ON COLUMN exchanges.simulated IS 'Prices are simulated; the index uses them only if no real exchange has a price.';
COMMENT ON COLUMN exchanges.probed_at IS 'When the first probe decided whether the exchange is enabled.';

CREATE TABLE coins (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CONSTRAINT coins_code_unique UNIQUE,
  name text NOT NULL,
  position integer NOT NULL,
  enabled boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN coins.position IS 'Position in the configuration, and in every list.';
-- Reading an instrument starts with finding its coin, by code or by name.
CREATE INDEX coins_name ON coins (lower(name));

CREATE TABLE instruments (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  exchange_id smallint NOT NULL REFERENCES exchanges,
  base text NOT NULL REFERENCES coins (code),
  quote text NOT NULL,
  symbol text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  CONSTRAINT instruments_pair_unique UNIQUE (exchange_id, base, quote)
);
COMMENT ON COLUMN instruments.symbol IS 'The exchange''s own name for the pair.';

CREATE TABLE catalog_state (
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT catalog_state_one_row CHECK (only_row),
  fingerprint text NOT NULL
);
COMMENT ON TABLE catalog_state IS 'The configuration that exchanges, coins and instruments were last updated from.';

CREATE TABLE exchange_status (
  exchange_id smallint PRIMARY KEY REFERENCES exchanges,
  last_attempt_at timestamptz,
  last_success_at timestamptz,
  failures integer NOT NULL DEFAULT 0 CONSTRAINT exchange_status_failures_check CHECK (failures >= 0),
  blocked_until timestamptz,
  last_error text,
  fetch_seconds double precision,
  live_until timestamptz,
  history_free_at timestamptz
);
COMMENT ON COLUMN exchange_status.failures IS 'Failed fetches since the last successful one.';
COMMENT ON COLUMN exchange_status.blocked_until IS 'The exchange asked us not to call it before this time (Retry-After, ban).';
COMMENT ON COLUMN exchange_status.live_until IS 'A fetch of current prices is running: requests for history wait until it ends, at most until then.';
COMMENT ON COLUMN exchange_status.history_free_at IS 'When any worker may send the next request for history.';

-- Prices ------------------------------------------------------------------------------------------

-- No foreign key to instruments: ids are read from that table in the transaction that loads prices, its rows are never
-- deleted, and a check per row would double the cost of loading. Partitions: see create_price_partitions.
CREATE TABLE prices (
  instrument_id integer NOT NULL,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  received_at timestamptz NOT NULL,
  CONSTRAINT prices_pkey PRIMARY KEY (instrument_id, observed_at),
  CONSTRAINT prices_price_check CHECK (price > 0 AND price < 'Infinity')
) PARTITION BY RANGE (observed_at);
COMMENT ON COLUMN prices.volume_24h IS 'Rolling 24 h volume in the base currency; must not be summed over time.';

CREATE TABLE latest_quotes (
  instrument_id integer CONSTRAINT latest_quotes_pkey PRIMARY KEY,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  received_at timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE latest_quotes IS 'The newest row of prices for each instrument, updated when prices are loaded.';

-- Candles -----------------------------------------------------------------------------------------

-- In ascending order of precedence: computed from our own quotes, aggregated from the exchange's finer candles, received
-- from the exchange. A candle is only replaced by one of the same or a higher precedence.
CREATE TYPE candle_source AS ENUM ('quotes', 'rollup', 'exchange');

CREATE TYPE candle_resolution AS ENUM ('1m', '1h', '1d');

-- The primary key includes the prices, so that years of one instrument are read from a few index pages although the
-- table mixes the rows of all instruments. No foreign key to instruments, as for prices.
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
  CONSTRAINT candles_prices_check CHECK (low > 0 AND low <= open AND low <= close AND open <= high AND close <= high AND high < 'Infinity')
) PARTITION BY LIST (resolution);
CREATE TABLE candles_1m PARTITION OF candles (
  CONSTRAINT candles_1m_opened_at_check CHECK (extract(epoch FROM opened_at)::bigint % 60 = 0)
) FOR VALUES IN ('1m');
CREATE TABLE candles_1h PARTITION OF candles (
  CONSTRAINT candles_1h_opened_at_check CHECK (extract(epoch FROM opened_at)::bigint % 3600 = 0)
) FOR VALUES IN ('1h');
CREATE TABLE candles_1d PARTITION OF candles (
  CONSTRAINT candles_1d_opened_at_check CHECK (extract(epoch FROM opened_at)::bigint % 86400 = 0)
) FOR VALUES IN ('1d');
COMMENT ON COLUMN candles.volume IS 'Volume traded within the candle, in the base currency; null if only 24 h volumes are known.';
COMMENT ON COLUMN candles.trades IS 'Number of trades, if the exchange reports it.';
COMMENT ON COLUMN candles.samples IS 'Number of our own quotes it was computed from; null if there are none.';

CREATE TABLE stale_candles (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  instrument_id integer NOT NULL,
  changed candle_resolution,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  CONSTRAINT stale_candles_order_check CHECK (first_at <= last_at)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON TABLE stale_candles IS
  'Time ranges in which prices or candles changed, so that coarser candles must be recomputed. '
  'Written in the transaction of the change, deleted in the transaction that stores the new candles.';
COMMENT ON COLUMN stale_candles.changed IS 'Resolution of the candles that changed; null if prices changed.';

CREATE TABLE candle_fetches (
  instrument_id integer NOT NULL REFERENCES instruments,
  resolution candle_resolution NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  outcome text NOT NULL CONSTRAINT candle_fetches_outcome_check CHECK (outcome IN ('stored', 'unavailable')),
  candles integer NOT NULL,
  requested_at timestamptz NOT NULL,
  CONSTRAINT candle_fetches_pkey PRIMARY KEY (instrument_id, resolution, started_at, ended_at),
  CONSTRAINT candle_fetches_order_check CHECK (started_at < ended_at)
);
COMMENT ON TABLE candle_fetches IS
  'Time ranges whose candles were requested from the exchange. unavailable: it has none; they are not requested again.';

-- Gaps --------------------------------------------------------------------------------------------

CREATE TABLE gaps (
  instrument_id integer NOT NULL REFERENCES instruments,
  day date NOT NULL,
  started_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'open' CONSTRAINT gaps_status_check CHECK (status IN ('open', 'repaired', 'unavailable')),
  reason text,
  detected_at timestamptz NOT NULL,
  resolved_at timestamptz,
  CONSTRAINT gaps_pkey PRIMARY KEY (instrument_id, started_at),
  CONSTRAINT gaps_order_check CHECK (started_at < ended_at)
);
COMMENT ON COLUMN gaps.day IS 'The UTC day of the gap; a gap over midnight has a row for each day.';
COMMENT ON COLUMN gaps.status IS 'unavailable: the exchange has no candles for it, so the gap remains.';
CREATE INDEX gaps_open ON gaps (instrument_id, started_at) WHERE status = 'open';

-- Users and subscriptions -------------------------------------------------------------------------

CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL CONSTRAINT users_email_check CHECK (email ~ '^[^\s@]+@[^\s@]+$' AND length(email) <= 254),
  created_at timestamptz NOT NULL,
  verified_at timestamptz,
  timezone text NOT NULL DEFAULT 'UTC',
  quiet_from time,
  quiet_until time,
  digest text NOT NULL DEFAULT 'none' CONSTRAINT users_digest_check CHECK (digest IN ('none', 'daily', 'weekly')),
  digest_sent_at timestamptz,
  channel_url text,
  suppressed_at timestamptz,
  suppression_reason text,
  CONSTRAINT users_quiet_hours_check CHECK ((quiet_from IS NULL) = (quiet_until IS NULL))
);
COMMENT ON COLUMN users.verified_at IS 'When the address was confirmed.';
COMMENT ON COLUMN users.quiet_from IS 'Local time (timezone) from which alerts are held until quiet_until; null for no quiet hours.';
COMMENT ON COLUMN users.digest IS 'daily, weekly: alerts are collected in one email a day or a week.';
COMMENT ON COLUMN users.digest_sent_at IS 'When the last digest was queued.';
COMMENT ON COLUMN users.channel_url IS 'An apprise URL to which alerts are also sent, set by operators. It contains secrets.';
COMMENT ON COLUMN users.suppressed_at IS 'Since when the address receives no email, because of a bounce or complaint.';
CREATE UNIQUE INDEX users_email_unique ON users (lower(email));
CREATE INDEX users_suppressed_at ON users (suppressed_at) WHERE suppressed_at IS NOT NULL;

-- fillfactor: changes that keep the indexed columns stay on their page.
CREATE TABLE subscriptions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  instrument_id integer NOT NULL REFERENCES instruments,
  kind text NOT NULL CONSTRAINT subscriptions_kind_check
    CHECK (kind IN ('change_since_last', 'change_over_window', 'deviation_from_average', 'crosses')),
  metric text NOT NULL DEFAULT 'price' CONSTRAINT subscriptions_metric_check CHECK (metric IN ('price', 'volume_24h')),
  direction text NOT NULL CONSTRAINT subscriptions_direction_check CHECK (direction IN ('up', 'down', 'either')),
  threshold double precision NOT NULL CONSTRAINT subscriptions_threshold_check CHECK (threshold > 0 AND threshold < 'Infinity'),
  window_seconds integer NOT NULL DEFAULT 0,
  cooldown_seconds integer NOT NULL DEFAULT 0 CONSTRAINT subscriptions_cooldown_check CHECK (cooldown_seconds >= 0),
  repeat boolean NOT NULL DEFAULT true,
  expires_at timestamptz,
  status text NOT NULL CONSTRAINT subscriptions_status_check
    CHECK (status IN ('pending', 'active', 'paused', 'ended', 'expired', 'unsubscribed')),
  paused_by_suppression boolean NOT NULL DEFAULT false,
  snoozed_until timestamptz NOT NULL DEFAULT '-infinity',
  active_from timestamptz NOT NULL,
  armed boolean NOT NULL DEFAULT true,
  cooldown_until timestamptz NOT NULL DEFAULT '-infinity',
  created_at timestamptz NOT NULL,
  CONSTRAINT subscriptions_window_check CHECK ((window_seconds > 0) = (kind IN ('change_over_window', 'deviation_from_average')))
) WITH (fillfactor = 85);
COMMENT ON COLUMN subscriptions.threshold IS 'In percent; for crosses, a level in the unit of the metric.';
COMMENT ON COLUMN subscriptions.window_seconds IS '0 for the kinds without a window.';
COMMENT ON COLUMN subscriptions.repeat IS 'False: the subscription ends with its first alert.';
COMMENT ON COLUMN subscriptions.status IS 'pending: the address is not confirmed; ended: fired its only alert; expired: expires_at has passed.';
COMMENT ON COLUMN subscriptions.paused_by_suppression IS 'Paused because the address was suppressed; false if the subscriber paused it.';
COMMENT ON COLUMN subscriptions.active_from IS 'Only quotes observed after this time are evaluated.';
COMMENT ON COLUMN subscriptions.armed IS 'change_over_window and deviation_from_average: false from an alert until the condition has been false once.';
COMMENT ON COLUMN subscriptions.cooldown_until IS 'End of the cooldown after the last alert.';
CREATE INDEX subscriptions_user_id ON subscriptions (user_id);
CREATE INDEX subscriptions_expires_at ON subscriptions (expires_at) WHERE status IN ('active', 'paused') AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX subscriptions_rule_unique
  ON subscriptions (user_id, instrument_id, kind, metric, direction, threshold, window_seconds)
  WHERE status IN ('pending', 'active', 'paused');

-- Evaluation --------------------------------------------------------------------------------------

CREATE TABLE evaluation_watermarks (
  instrument_id integer REFERENCES instruments,
  metric text CONSTRAINT evaluation_watermarks_metric_check CHECK (metric IN ('price', 'volume_24h')),
  evaluated_to timestamptz NOT NULL,
  last_value double precision,
  last_at timestamptz,
  CONSTRAINT evaluation_watermarks_pkey PRIMARY KEY (instrument_id, metric)
) WITH (fillfactor = 50);
COMMENT ON TABLE evaluation_watermarks IS 'Quotes observed at or before evaluated_to have been evaluated for every subscription.';
COMMENT ON COLUMN evaluation_watermarks.last_value IS 'The value evaluated last, observed at last_at: the next value is compared with it.';

-- Instrument, metric, kind and window (below 2^28 s) as one number, different for each combination: a smaller index
-- than one over four columns, with cheaper comparisons.
CREATE FUNCTION lookup_key(instrument_id integer, metric text, kind text, window_seconds integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (CAST(instrument_id AS bigint) << 32) + window_seconds
  + CASE metric WHEN 'price' THEN 0 WHEN 'volume_24h' THEN 1 END * (1 << 30)
  + CASE kind WHEN 'change_since_last' THEN 0 WHEN 'change_over_window' THEN 1 WHEN 'deviation_from_average' THEN 2
              WHEN 'crosses' THEN 3 END * (1 << 28);

-- Which kinds and windows are in use; from a change to the armed subscriptions whose threshold it reaches, in one scan
-- for both directions; and to the disarmed subscriptions that it rearms, without reading those whose condition still
-- holds.
CREATE INDEX subscriptions_kind_window ON subscriptions (kind, window_seconds) WHERE status = 'active';
CREATE INDEX subscriptions_armed
  ON subscriptions (lookup_key(instrument_id, metric, kind, window_seconds), threshold, direction) WHERE status = 'active' AND armed;
CREATE INDEX subscriptions_disarmed
  ON subscriptions (lookup_key(instrument_id, metric, kind, window_seconds), direction, threshold) WHERE status = 'active' AND NOT armed;

-- Outbox ------------------------------------------------------------------------------------------

-- fillfactor: claiming a row changes no indexed column; with free space on its page no index is updated (half the
-- work).
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dedupe_key text NOT NULL CONSTRAINT outbox_dedupe_key_unique UNIQUE,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  recipient text NOT NULL,
  kind text NOT NULL CONSTRAINT outbox_kind_check CHECK (kind IN ('alerts', 'confirmation', 'expired', 'digest', 'manage')),
  channel text NOT NULL DEFAULT 'email' CONSTRAINT outbox_channel_check CHECK (channel IN ('email', 'apprise')),
  payload jsonb NOT NULL,
  message_id uuid NOT NULL DEFAULT gen_random_uuid(),
  status text NOT NULL DEFAULT 'queued' CONSTRAINT outbox_status_check CHECK (status IN ('queued', 'sent', 'failed', 'dropped')),
  attempts integer NOT NULL DEFAULT 0,
  lease uuid,
  leased_until timestamptz,
  next_attempt_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  sent_at timestamptz,
  last_error text
) WITH (fillfactor = 50);
COMMENT ON COLUMN outbox.kind IS 'manage: the link to the page on which subscribers see, change and erase their data.';
COMMENT ON COLUMN outbox.message_id IS 'Local part of the Message-ID; the same for every attempt, so that duplicates can be recognized.';
COMMENT ON COLUMN outbox.status IS 'failed: rejected permanently or given up after too many attempts; dropped: given up by an operator.';
COMMENT ON COLUMN outbox.lease IS 'Token of the sender that has claimed the row; only its holder marks the row.';
COMMENT ON COLUMN outbox.next_attempt_at IS 'When the row is due; for failed rows the time of the last attempt.';
CREATE INDEX outbox_user_id ON outbox (user_id, created_at);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE status = 'queued';
CREATE INDEX outbox_apprise_due ON outbox (next_attempt_at) WHERE status = 'queued' AND channel = 'apprise';
CREATE INDEX outbox_sent_at ON outbox (sent_at) WHERE status = 'sent';
CREATE INDEX outbox_failed ON outbox (next_attempt_at) WHERE status IN ('failed', 'dropped');

-- Alerts ------------------------------------------------------------------------------------------

CREATE TABLE alerts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subscription_id bigint NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz,
  change_percent double precision NOT NULL,
  late boolean NOT NULL DEFAULT false,
  state text NOT NULL DEFAULT 'new' CONSTRAINT alerts_state_check CHECK (state IN ('new', 'held', 'notified', 'dropped')),
  outbox_id bigint REFERENCES outbox ON DELETE SET NULL,
  created_at timestamptz NOT NULL,
  CONSTRAINT alerts_subscription_observed_unique UNIQUE (subscription_id, observed_at)
);
COMMENT ON COLUMN alerts.price IS 'The value that fired the alert: a price or a 24 h volume.';
COMMENT ON COLUMN alerts.reference IS 'The value it was compared with.';
COMMENT ON COLUMN alerts.late IS 'Evaluated too late to be sent on its own (after an outage): sent with the next email.';
COMMENT ON COLUMN alerts.state IS 'new: fired in the current run; held: waits for an email; notified: is in an email; dropped: the subscriber unsubscribed first.';
COMMENT ON COLUMN alerts.outbox_id IS 'The email with this alert; null before, and after old emails were deleted.';
CREATE INDEX alerts_created_at ON alerts (created_at);
CREATE INDEX alerts_new ON alerts (id) WHERE state = 'new';
CREATE INDEX alerts_unsent ON alerts (subscription_id) WHERE state IN ('new', 'held');
CREATE INDEX alerts_outbox_id ON alerts (outbox_id) WHERE outbox_id IS NOT NULL;

-- Held alerts -------------------------------------------------------------------------------------

-- A run only looks at the users whose recheck_at has come, however many alerts are held.
CREATE TABLE held_users (
  user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  reason text NOT NULL CONSTRAINT held_users_reason_check
    CHECK (reason IN ('digest', 'quiet_hours', 'daily_limit', 'late', 'suppressed')),
  since timestamptz NOT NULL,
  recheck_at timestamptz NOT NULL
);
COMMENT ON TABLE held_users IS 'Users whose alerts are held, why, and when to check again.';
COMMENT ON COLUMN held_users.since IS 'When the oldest of the held alerts fired.';
COMMENT ON COLUMN held_users.recheck_at IS 'infinity: only a new alert or a change of the user''s settings leads to a check.';
CREATE INDEX held_users_recheck_at ON held_users (recheck_at);

-- When a user's settings change, the next run checks them again.
CREATE FUNCTION recheck_held_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE held_users SET recheck_at = '-infinity' WHERE user_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER users_recheck_held_user AFTER UPDATE OF timezone, quiet_from, quiet_until, digest, suppressed_at ON users
  FOR EACH ROW
  WHEN ((OLD.timezone, OLD.quiet_from, OLD.quiet_until, OLD.digest, OLD.suppressed_at)
        IS DISTINCT FROM (NEW.timezone, NEW.quiet_from, NEW.quiet_until, NEW.digest, NEW.suppressed_at))
  EXECUTE FUNCTION recheck_held_user();

-- Time zones --------------------------------------------------------------------------------------

-- A moment as local time. An unknown zone is read as UTC: one user's setting must not stop everyone's alerts.
CREATE FUNCTION local_time(moment timestamptz, zone text) RETURNS timestamp LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN moment AT TIME ZONE zone;
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN moment AT TIME ZONE 'UTC';
END $$;

-- The reverse of local_time.
CREATE FUNCTION from_local_time(local_moment timestamp, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN local_moment AT TIME ZONE zone;
EXCEPTION WHEN invalid_parameter_value THEN
  RETURN local_moment AT TIME ZONE 'UTC';
END $$;

-- When the quiet hours around a moment end; null outside quiet hours. If the clock skips or repeats the hour in which
-- they end, the earliest possible moment: the next run checks again.
CREATE FUNCTION end_of_quiet_hours(moment timestamptz, zone text, quiet_from time, quiet_until time)
RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
  local_moment timestamp := local_time(moment, zone);
  clock time := local_moment;
  ends timestamp := CAST(local_moment AS date) + quiet_until;
BEGIN
  IF (quiet_from < quiet_until AND clock >= quiet_from AND clock < quiet_until)
    OR (quiet_from > quiet_until AND (clock >= quiet_from OR clock < quiet_until))
  THEN
    IF quiet_until <= clock THEN
      ends := ends + interval '1 day';
    END IF;
    RETURN least(
      from_local_time(ends, zone), from_local_time(ends + interval '1 hour', zone) - interval '1 hour', moment + (ends - local_moment));
  END IF;
  RETURN NULL;
END $$;

-- Partitions of prices ----------------------------------------------------------------------------

-- Only this view and the next two functions depend on how the days of prices are stored.
CREATE VIEW price_partitions AS
SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day, c.oid AS relation
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'public.prices'::regclass;

-- Creates daily partitions for every UTC day in [first_day, last_day] that has none; returns their number. Runs as the
-- owner, so that the application role may call it. A table is created first and then attached, because that blocks
-- neither readers nor writers of the other days.
CREATE FUNCTION create_price_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  day date;
  partition text;
  created integer := 0;
BEGIN
  IF last_day - first_day > 400 THEN
    RAISE EXCEPTION 'refusing to create % partitions at once (from % to %)', last_day - first_day + 1, first_day, last_day;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('coinwatch.create_price_partitions'));
  FOR day IN SELECT generate_series(first_day, last_day, interval '1 day')::date LOOP
    partition := 'prices_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.prices INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    EXECUTE format('ALTER TABLE public.prices ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   partition, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
    created := created + 1;
  END LOOP;
  RETURN created;
END $$;
REVOKE EXECUTE ON FUNCTION create_price_partitions(date, date) FROM PUBLIC;

-- Drops one day's partition of prices, for the application role, which does not own it. Returns one of
--   dropped  the partition is gone, with all its prices
--   absent   there is no such partition
--   busy     prices could not be locked in time: try again later
--   stale    prices of that day changed and their candles have not been refreshed since: refresh them, then try again
--   pending  it has quotes that have not been evaluated
-- Dropping a partition locks all of prices, so it does not wait long for the lock, and the caller does the slow check before
-- (that every minute has its candle). Prices loaded between that check and the lock left a row in stale_candles in the same
-- transaction, which is found here. The parent is locked before the partition, as by the loader, to avoid deadlocks.
CREATE FUNCTION drop_price_partition(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  partition text := 'prices_' || to_char(day, 'YYYYMMDD');
  day_start timestamptz := day::timestamp AT TIME ZONE 'UTC';
  day_end timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
  pending boolean;
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
                 ' AND p.observed_at > m.evaluated_to WHERE m.evaluated_to < $1)', partition) INTO pending USING day_end;
  IF pending THEN
    RETURN 'pending';
  END IF;
  EXECUTE format('DROP TABLE public.%I', partition);
  RETURN 'dropped';
END $$;
REVOKE EXECUTE ON FUNCTION drop_price_partition(date) FROM PUBLIC;

-- Views for the reader role (Grafana): no addresses, no subscriptions -----------------------------

CREATE VIEW watched_instruments AS
SELECT i.id AS instrument_id, e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair,
       e.name AS exchange_name, c.name AS coin_name, i.symbol, e.simulated
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE i.enabled AND e.enabled AND c.enabled;

CREATE VIEW latest_prices AS
SELECT w.exchange, w.base, w.quote, w.pair, w.exchange_name, w.coin_name,
       l.price, l.volume_24h, l.bid, l.ask, l.observed_at, l.received_at, w.instrument_id
FROM watched_instruments w
JOIN latest_quotes l ON l.instrument_id = w.instrument_id;

CREATE VIEW price_history AS
SELECT e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair,
       p.observed_at, p.price, p.volume_24h, p.bid, p.ask, p.received_at, p.instrument_id
FROM prices p
JOIN instruments i ON i.id = p.instrument_id
JOIN exchanges e ON e.id = i.exchange_id;

CREATE VIEW candle_history AS
SELECT e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair, c.resolution, c.opened_at, c.open, c.high,
       c.low, c.close, c.volume, c.trades, c.samples, c.source, c.instrument_id
FROM candles c
JOIN instruments i ON i.id = c.instrument_id
JOIN exchanges e ON e.id = i.exchange_id;

-- A row per coin and UTC day in US dollars (else USDT, else USDC), with CryptoMonitor's columns. Prices are those of
-- the index; on days without one, those of the exchange with the largest volume. volume is the volume traded within the
-- day on all exchanges that report it, in the coin.
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

CREATE VIEW exchange_health AS
SELECT e.code AS exchange, e.name, e.enabled, s.last_attempt_at, s.last_success_at, coalesce(s.failures, 0) AS failures,
       s.blocked_until, s.last_error, s.fetch_seconds
FROM exchanges e
LEFT JOIN exchange_status s ON s.exchange_id = e.id
WHERE e.code <> 'index';

CREATE VIEW alert_activity AS
SELECT a.created_at, a.observed_at, e.code AS exchange, i.base || '/' || i.quote AS pair, s.kind, a.price,
       a.reference, a.change_percent
FROM alerts a
JOIN subscriptions s ON s.id = a.subscription_id
JOIN instruments i ON i.id = s.instrument_id
JOIN exchanges e ON e.id = i.exchange_id;

CREATE VIEW outbox_activity AS
SELECT kind, status, attempts, created_at, next_attempt_at, sent_at FROM outbox;
