-- Recent cycles, for the operator page.
CREATE TABLE cycles (
  started_at timestamptz PRIMARY KEY,
  finished_at timestamptz NOT NULL,
  exchanges integer NOT NULL,
  failed text[] NOT NULL,
  quotes integer NOT NULL,
  inserted integer NOT NULL,
  rejected integer NOT NULL,
  index_prices integer NOT NULL
);
COMMENT ON TABLE cycles IS 'What each cycle of the last week collected.';
COMMENT ON COLUMN cycles.failed IS 'Codes of the enabled exchanges whose last fetch failed.';
COMMENT ON COLUMN cycles.inserted IS 'New prices, without those of the index.';
