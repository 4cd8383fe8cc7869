-- Hides the real table in this session and receives the alerts that would have fired.
CREATE TEMPORARY TABLE alerts (LIKE public.alerts INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES);
