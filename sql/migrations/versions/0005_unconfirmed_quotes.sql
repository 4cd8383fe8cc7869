-- Quotes that jump too far wait here for confirmation before they are loaded into prices.
CREATE TABLE unconfirmed_quotes (
  instrument_id integer NOT NULL REFERENCES instruments,
  observed_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  reference double precision NOT NULL,
  rejected_at timestamptz,
  CONSTRAINT unconfirmed_quotes_pkey PRIMARY KEY (instrument_id, observed_at)
);
COMMENT ON COLUMN unconfirmed_quotes.reference IS 'The price before the jump.';
COMMENT ON COLUMN unconfirmed_quotes.rejected_at IS 'When it was clear that nothing confirms the quote; null while it waits.';
