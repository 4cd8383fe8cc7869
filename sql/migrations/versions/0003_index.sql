-- The index compares consecutive values only over the exchanges in both, counts aggregators only without an exchange, and
-- never mixes simulated with real prices.

ALTER TABLE exchanges ADD COLUMN aggregator boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN exchanges.aggregator IS 'Prices and volumes are computed from several exchanges.';
COMMENT ON COLUMN exchanges.simulated IS 'Prices are simulated; the index uses them only for coins that no real exchange has.';
UPDATE exchanges SET aggregator = true WHERE code = 'coingecko';

ALTER TABLE prices ADD COLUMN divisors double precision[];
ALTER TABLE latest_quotes ADD COLUMN divisors double precision[];
COMMENT ON COLUMN prices.divisors IS
  'Index: values of price and 24 h volume divided by these can be compared, whichever exchanges were counted; null means 1.';

CREATE TABLE index_state (
  instrument_id integer PRIMARY KEY REFERENCES instruments,
  observed_at timestamptz NOT NULL,
  price jsonb NOT NULL,
  volume jsonb
);
COMMENT ON TABLE index_state IS
  'The newest value of each index: its price and 24 h volume with their divisors, and the exchanges they were computed from.';

ALTER TABLE evaluation_watermarks ADD COLUMN last_divisor double precision NOT NULL DEFAULT 1;
COMMENT ON COLUMN evaluation_watermarks.last_divisor IS 'The divisor of last_value, see prices.divisors.';

-- The index of a coin is simulated if no real exchange is enabled for it.
CREATE OR REPLACE VIEW watched_instruments AS
SELECT i.id AS instrument_id, e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair,
       e.name AS exchange_name, c.name AS coin_name, i.symbol,
       CASE WHEN e.code = 'index' THEN NOT EXISTS (
         SELECT FROM instruments o
         JOIN exchanges oe ON oe.id = o.exchange_id
         WHERE o.base = i.base AND o.enabled AND oe.enabled AND NOT oe.simulated AND oe.code <> 'index')
       ELSE e.simulated END AS simulated,
       e.aggregator
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
WHERE i.enabled AND e.enabled AND c.enabled;

CREATE OR REPLACE VIEW latest_prices AS
SELECT w.exchange, w.base, w.quote, w.pair, w.exchange_name, w.coin_name,
       l.price, l.volume_24h, l.bid, l.ask, l.observed_at, l.received_at, w.instrument_id, w.simulated, l.divisors
FROM watched_instruments w
JOIN latest_quotes l ON l.instrument_id = w.instrument_id;
