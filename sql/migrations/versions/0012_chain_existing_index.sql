-- It is not known which exchanges were counted in the newest value of an index from an earlier version, which also counted
-- aggregators and simulated exchanges. With none known, the next value is treated as equal and fires no rule.
INSERT INTO index_state (instrument_id, observed_at, price, volume)
SELECT l.instrument_id, l.observed_at,
       jsonb_build_object('value', l.price, 'divisor', 1, 'counted', jsonb_build_object(), 'known', jsonb_build_object()),
       CASE WHEN l.volume_24h > 0 THEN
         jsonb_build_object('value', l.volume_24h, 'divisor', 1, 'counted', jsonb_build_object(), 'known', jsonb_build_object()) END
FROM latest_quotes l
JOIN instruments i ON i.id = l.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
WHERE e.code = 'index'
ON CONFLICT (instrument_id) DO NOTHING;
