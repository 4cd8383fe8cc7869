-- One connection's intake of candles; empty again after every transaction.
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
