-- Subscriptions by kind of rule, coin and status; most active first.
SELECT s.kind, i.base AS coin, count(*) FILTER (WHERE s.status = 'active') AS active,
       count(*) FILTER (WHERE s.status = 'paused') AS paused, count(*) FILTER (WHERE s.status = 'pending') AS pending,
       count(*) FILTER (WHERE s.status NOT IN ('active', 'paused', 'pending')) AS ended,
       count(DISTINCT s.user_id) AS subscribers
FROM subscriptions s
JOIN instruments i ON i.id = s.instrument_id
GROUP BY s.kind, i.base
ORDER BY active DESC, s.kind, i.base
LIMIT :limit
