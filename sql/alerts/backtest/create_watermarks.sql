-- Hides the real table in this transaction: the evaluation begins at the start of the backtest.
CREATE TEMPORARY TABLE evaluation_watermarks (LIKE public.evaluation_watermarks INCLUDING DEFAULTS INCLUDING INDEXES);
