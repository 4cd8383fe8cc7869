-- One connection's intake; empty again after every transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS quote_batch (
  instrument_id integer NOT NULL,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  received_at timestamptz NOT NULL
) ON COMMIT DELETE ROWS;
