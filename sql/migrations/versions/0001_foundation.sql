-- What is watched, what was seen, who wants to know, and what is to be mailed.
-- Timestamps are UTC. Percentages are percent, not fractions.

CREATE TABLE exchanges (
  id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CONSTRAINT exchanges_code_unique UNIQUE
                     CONSTRAINT exchanges_code_form CHECK (code ~ '^[a-z0-9_]+$'),
  name text NOT NULL,
  enabled boolean NOT NULL DEFAULT false,
  simulated boolean NOT NULL DEFAULT false,
  probed_at timestamptz
);
COMMENT ON COLUMN exchanges.enabled IS 'Whether the pipeline fetches from it; the operator''s switch, set by the first probe.';
COMMENT ON COLUMN exchanges.simulated IS 'Its prices are made up: the index takes them only where no real exchange has one.';

CREATE TABLE coins (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL CONSTRAINT coins_code_unique UNIQUE,
  name text NOT NULL,
  position integer NOT NULL,
  enabled boolean NOT NULL DEFAULT true
);
COMMENT ON COLUMN coins.position IS 'Place in the configuration, and so in every list.';

CREATE TABLE instruments (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  exchange_id smallint NOT NULL REFERENCES exchanges,
  base text NOT NULL REFERENCES coins (code),
  quote text NOT NULL,
  symbol text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  CONSTRAINT instruments_pair_unique UNIQUE (exchange_id, base, quote)
);
COMMENT ON COLUMN instruments.symbol IS 'The exchange''s own name of the pair.';

CREATE TABLE catalog_state (
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT catalog_state_one_row CHECK (only_row),
  fingerprint text NOT NULL
);
COMMENT ON TABLE catalog_state IS 'Which configuration the tables above were last brought in line with.';

CREATE TABLE exchange_status (
  exchange_id smallint PRIMARY KEY REFERENCES exchanges,
  last_attempt_at timestamptz,
  last_success_at timestamptz,
  failures integer NOT NULL DEFAULT 0 CONSTRAINT exchange_status_failures_positive CHECK (failures >= 0),
  blocked_until timestamptz,
  last_error text,
  fetch_seconds double precision
);
COMMENT ON COLUMN exchange_status.blocked_until IS 'No worker calls the exchange before this moment (Retry-After, ban).';

-- No foreign key to instruments: ids come from that table in the loading transaction, rows there are never
-- deleted, and a check per row would double the cost of loading.
CREATE TABLE prices (
  instrument_id integer NOT NULL,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  received_at timestamptz NOT NULL,
  CONSTRAINT prices_pkey PRIMARY KEY (instrument_id, observed_at),
  CONSTRAINT prices_price_positive CHECK (price > 0 AND price < 'Infinity')
) PARTITION BY RANGE (observed_at);
COMMENT ON COLUMN prices.volume_24h IS 'Rolling 24 h volume in the base currency: never to be summed over time.';

-- Daily partitions for every UTC day of [first_day, last_day]; those that exist are left alone. Runs as the
-- owner so that the application role may call it. A table is built apart and attached, because that blocks
-- neither readers nor writers of the other days.
CREATE FUNCTION create_price_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  day date;
  partition text;
  made integer := 0;
BEGIN
  IF last_day - first_day > 400 THEN
    RAISE EXCEPTION 'refusing to make % partitions at once (from % to %)', last_day - first_day + 1, first_day, last_day;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('coinwatch.create_price_partitions'));
  FOR day IN SELECT generate_series(first_day, last_day, interval '1 day')::date LOOP
    partition := 'prices_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.prices INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    EXECUTE format('ALTER TABLE public.prices ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   partition, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION create_price_partitions(date, date) FROM PUBLIC;

CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL CONSTRAINT users_email_form CHECK (email ~ '^[^\s@]+@[^\s@]+$' AND length(email) <= 254),
  verified_at timestamptz,
  password_hash text,
  timezone text NOT NULL DEFAULT 'UTC',
  created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX users_email_unique ON users (lower(email));

CREATE TABLE subscriptions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
  instrument_id integer NOT NULL REFERENCES instruments,
  kind text NOT NULL CONSTRAINT subscriptions_kind_known
    CHECK (kind IN ('change_since_last', 'change_over_window', 'deviation_from_average', 'crosses')),
  metric text NOT NULL DEFAULT 'price' CONSTRAINT subscriptions_metric_known CHECK (metric IN ('price', 'volume_24h')),
  direction text NOT NULL CONSTRAINT subscriptions_direction_known CHECK (direction IN ('up', 'down', 'either')),
  threshold double precision NOT NULL CONSTRAINT subscriptions_threshold_positive
    CHECK (threshold > 0 AND threshold < 'Infinity'),
  window_seconds integer CONSTRAINT subscriptions_window_positive CHECK (window_seconds > 0),
  cooldown_seconds integer NOT NULL DEFAULT 0 CONSTRAINT subscriptions_cooldown_positive CHECK (cooldown_seconds >= 0),
  repeat boolean NOT NULL DEFAULT true,
  expires_at timestamptz,
  status text NOT NULL CONSTRAINT subscriptions_status_known
    CHECK (status IN ('pending', 'active', 'paused', 'ended', 'unsubscribed')),
  active_from timestamptz NOT NULL,
  cooldown_until timestamptz NOT NULL DEFAULT '-infinity',
  created_at timestamptz NOT NULL
);
COMMENT ON COLUMN subscriptions.status IS 'pending: address not confirmed yet; ended: expired or fired its only time.';
COMMENT ON COLUMN subscriptions.active_from IS 'Only quotes observed after this moment are judged.';
COMMENT ON COLUMN subscriptions.cooldown_until IS 'End of the cooldown after the last alert.';
CREATE INDEX subscriptions_match ON subscriptions (instrument_id, kind, direction, threshold) WHERE status = 'active';
CREATE UNIQUE INDEX subscriptions_same_rule_once
  ON subscriptions (user_id, instrument_id, kind, metric, direction, threshold, coalesce(window_seconds, 0))
  WHERE status IN ('pending', 'active', 'paused');

CREATE TABLE evaluation_watermarks (
  instrument_id integer PRIMARY KEY REFERENCES instruments,
  evaluated_to timestamptz NOT NULL
);
COMMENT ON TABLE evaluation_watermarks IS 'Quotes observed at or before evaluated_to have met every subscription, or never will.';

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  dedupe_key text NOT NULL CONSTRAINT outbox_dedupe_key_unique UNIQUE,
  recipient text NOT NULL,
  kind text NOT NULL CONSTRAINT outbox_kind_known CHECK (kind IN ('alerts', 'confirmation')),
  payload jsonb NOT NULL,
  message_id uuid NOT NULL DEFAULT gen_random_uuid(),
  status text NOT NULL DEFAULT 'queued' CONSTRAINT outbox_status_known CHECK (status IN ('queued', 'sent', 'failed')),
  attempts integer NOT NULL DEFAULT 0,
  lease uuid,
  leased_until timestamptz,
  next_attempt_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  sent_at timestamptz,
  last_error text
);
COMMENT ON COLUMN outbox.message_id IS 'Left part of the Message-ID; the same in every attempt, so a double can be recognized.';
COMMENT ON COLUMN outbox.lease IS 'Token of the sender at work; whoever does not hold it any more marks nothing.';
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE status = 'queued';
CREATE INDEX outbox_confirmations ON outbox (recipient, created_at) WHERE kind = 'confirmation';

CREATE TABLE alerts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subscription_id bigint NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz,
  change_percent double precision NOT NULL,
  created_at timestamptz NOT NULL,
  outbox_id bigint REFERENCES outbox,
  CONSTRAINT alerts_once UNIQUE (subscription_id, observed_at)
);
COMMENT ON COLUMN alerts.outbox_id IS 'The mail that tells it; null until one is queued, in the same transaction.';
CREATE INDEX alerts_untold ON alerts (id) WHERE outbox_id IS NULL;
CREATE INDEX alerts_created_at ON alerts (created_at);

-- What the reader role (Grafana) sees: no addresses, no subscriptions.

CREATE VIEW watched_instruments AS
SELECT i.id AS instrument_id, e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair,
       e.name AS exchange_name, c.name AS coin_name, i.symbol, e.simulated
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE i.enabled AND e.enabled AND c.enabled;

CREATE VIEW latest_prices AS
SELECT w.exchange, w.base, w.quote, w.pair, w.exchange_name, w.coin_name,
       p.price, p.volume_24h, p.bid, p.ask, p.observed_at, p.received_at, w.instrument_id
FROM watched_instruments w
CROSS JOIN LATERAL (
  SELECT * FROM prices WHERE prices.instrument_id = w.instrument_id ORDER BY observed_at DESC LIMIT 1
) p;

CREATE VIEW price_history AS
SELECT e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair,
       p.observed_at, p.price, p.volume_24h, p.bid, p.ask, p.received_at, p.instrument_id
FROM prices p
JOIN instruments i ON i.id = p.instrument_id
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
