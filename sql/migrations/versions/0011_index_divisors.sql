CREATE TABLE index_divisors (
  instrument_id integer NOT NULL REFERENCES instruments,
  started_at timestamptz NOT NULL,
  price_divisor double precision NOT NULL,
  CONSTRAINT index_divisors_pkey PRIMARY KEY (instrument_id, started_at) INCLUDE (price_divisor)
);
COMMENT ON TABLE index_divisors IS
  'From when on the index has which price divisor, see prices.divisors: a row per change of exchanges. Kept longer than prices, for its candles.';
