-- Holds the quotes that a transaction is about to load; emptied when it ends.
CREATE TEMPORARY TABLE IF NOT EXISTS quote_batch (
  instrument_id integer NOT NULL,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  volume_24h double precision,
  bid double precision,
  ask double precision,
  received_at timestamptz NOT NULL
) ON COMMIT DELETE ROWS;
