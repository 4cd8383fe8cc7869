-- Kinds and windows on the judged instruments: from one to the next along the index, whatever the number of
-- subscriptions that have them.
INSERT INTO judged_rules (instrument_id, metric, kind, window_seconds)
WITH RECURSIVE judged AS (
  SELECT DISTINCT instrument_id, metric FROM judged_quotes
), found AS (
  SELECT j.instrument_id, j.metric, first.kind, first.window_seconds
  FROM judged j
  CROSS JOIN LATERAL (
    SELECT kind, window_seconds FROM subscriptions
    WHERE status = 'active' AND instrument_id = j.instrument_id AND metric = j.metric
    ORDER BY kind, window_seconds LIMIT 1
  ) first
  UNION ALL
  SELECT f.instrument_id, f.metric, next.kind, next.window_seconds
  FROM found f
  CROSS JOIN LATERAL (
    SELECT kind, window_seconds FROM subscriptions
    WHERE status = 'active' AND instrument_id = f.instrument_id AND metric = f.metric
      AND (kind, window_seconds) > (f.kind, f.window_seconds)
    ORDER BY kind, window_seconds LIMIT 1
  ) next
)
SELECT * FROM found;
