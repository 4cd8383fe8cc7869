-- Kinds, windows and directions on the judged instruments: from one to the next along the index, whatever the number of
-- subscriptions that have them.
INSERT INTO judged_rules (instrument_id, metric, kind, window_seconds, armed, direction, bound)
WITH RECURSIVE judged AS (
  SELECT DISTINCT instrument_id, metric FROM judged_quotes
), found AS (
  SELECT j.instrument_id, j.metric, first.*
  FROM judged j
  CROSS JOIN LATERAL (
    SELECT kind, window_seconds, armed, direction, threshold FROM subscriptions
    WHERE status = 'active' AND instrument_id = j.instrument_id AND metric = j.metric
    ORDER BY kind, window_seconds, armed, direction, threshold LIMIT 1
  ) first
  UNION ALL
  SELECT f.instrument_id, f.metric, next.*
  FROM found f
  CROSS JOIN LATERAL (
    SELECT kind, window_seconds, armed, direction, threshold FROM subscriptions
    WHERE status = 'active' AND instrument_id = f.instrument_id AND metric = f.metric
      AND (kind, window_seconds, armed, direction, threshold) > (f.kind, f.window_seconds, f.armed, f.direction, 'Infinity')
    ORDER BY kind, window_seconds, armed, direction, threshold LIMIT 1
  ) next
)
SELECT * FROM found;
