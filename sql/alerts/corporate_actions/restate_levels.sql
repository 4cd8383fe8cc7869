-- States the levels that were set before a redenomination in the new unit, unless the same rule exists already.
UPDATE subscriptions s
SET threshold = CASE metric WHEN 'price' THEN threshold * :ratio ELSE threshold / :ratio END
WHERE instrument_id = :instrument_id AND kind = 'crosses' AND created_at < :effective_at
  AND NOT EXISTS (
    SELECT FROM subscriptions o
    WHERE (o.user_id, o.instrument_id, o.kind, o.metric, o.direction, o.window_seconds)
          = (s.user_id, s.instrument_id, s.kind, s.metric, s.direction, s.window_seconds)
      AND o.ladder_percent IS NOT DISTINCT FROM s.ladder_percent
      AND o.threshold = CASE s.metric WHEN 'price' THEN s.threshold * :ratio ELSE s.threshold / :ratio END);
