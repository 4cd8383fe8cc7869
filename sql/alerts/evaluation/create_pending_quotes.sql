-- The values that one run evaluates; null for a quote without a 24 h volume. Values are compared after dividing each by its
-- divisor, which is 1 except for the index, see prices.divisors.
CREATE TEMPORARY TABLE IF NOT EXISTS pending_quotes (
  instrument_id integer NOT NULL,
  metric text NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision,
  divisor double precision NOT NULL
) ON COMMIT DELETE ROWS;
