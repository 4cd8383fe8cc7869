-- Before the real table in this session's sight: judging begins where the question does.
CREATE TEMPORARY TABLE match_watermarks (LIKE public.match_watermarks INCLUDING DEFAULTS INCLUDING INDEXES);
