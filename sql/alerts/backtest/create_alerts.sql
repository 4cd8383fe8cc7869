-- Before the real table in this session's sight: takes the alerts that would have been.
CREATE TEMPORARY TABLE alerts (LIKE public.alerts INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING INDEXES);
