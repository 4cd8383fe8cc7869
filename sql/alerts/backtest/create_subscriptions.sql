-- Before the real table in this session's sight: holds the one rule that is tried.
CREATE TEMPORARY TABLE subscriptions (LIKE public.subscriptions INCLUDING DEFAULTS INCLUDING INDEXES);
