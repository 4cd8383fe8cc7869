-- Before the real table in this session's sight: judging begins where the question does.
CREATE TEMPORARY TABLE evaluation_watermarks (LIKE public.evaluation_watermarks INCLUDING DEFAULTS INCLUDING INDEXES);
