-- Hides the real table in this transaction: its extremes are those before the quotes to come.
CREATE TEMPORARY TABLE period_extremes (LIKE public.period_extremes INCLUDING INDEXES);
