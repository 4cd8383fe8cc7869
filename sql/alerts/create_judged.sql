-- The quotes of one matching run, each beside the one recorded before it; empty again after the transaction.
CREATE TEMPORARY TABLE IF NOT EXISTS judged_quotes (
  instrument_id integer NOT NULL,
  observed_at timestamptz NOT NULL,
  price double precision NOT NULL,
  previous_price double precision,
  previous_at timestamptz
) ON COMMIT DELETE ROWS;
