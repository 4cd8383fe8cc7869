CREATE TABLE trading_halts (
  instrument_id integer CONSTRAINT trading_halts_pkey PRIMARY KEY REFERENCES instruments,
  status text NOT NULL CONSTRAINT trading_halts_status_check CHECK (status IN ('auction', 'halted', 'delisted')),
  term text NOT NULL,
  since timestamptz NOT NULL
);
COMMENT ON TABLE trading_halts IS 'Instruments that their exchange did not trade when it was last asked. Their quotes are rejected.';
COMMENT ON COLUMN trading_halts.term IS 'The exchange''s own term, such as cancel_only.';
COMMENT ON COLUMN trading_halts.since IS 'When we first saw this status.';

ALTER TABLE exchange_status ADD COLUMN trading_checked_at timestamptz;
COMMENT ON COLUMN exchange_status.trading_checked_at IS 'When the exchange was last asked which instruments it trades, by a request of its own.';
