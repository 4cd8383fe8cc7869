-- Holds the candles that a transaction is about to store; emptied when it ends.
CREATE TEMPORARY TABLE IF NOT EXISTS candle_batch (
  instrument_id integer NOT NULL,
  opened_at timestamptz NOT NULL,
  open double precision NOT NULL,
  high double precision NOT NULL,
  low double precision NOT NULL,
  close double precision NOT NULL,
  volume double precision,
  trades integer,
  samples integer,
  source text NOT NULL
) ON COMMIT DELETE ROWS;
