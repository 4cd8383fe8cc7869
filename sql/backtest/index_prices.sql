-- The prices copied for the backtest, to be found by time as the real ones are.
CREATE UNIQUE INDEX ON pg_temp.prices (instrument_id, observed_at);
