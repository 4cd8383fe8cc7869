-- Hides the real table in this transaction and holds the rule to test.
CREATE TEMPORARY TABLE subscriptions (LIKE public.subscriptions INCLUDING DEFAULTS INCLUDING INDEXES);
