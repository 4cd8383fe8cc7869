-- Hides the real table in this transaction and receives the alerts that would have fired.
CREATE TEMPORARY TABLE alerts (LIKE public.alerts INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES);
