-- From a move to the subscriptions it concerns with one number instead of four columns, two of them text: a smaller index,
-- and less to compare on the way down.

-- Instrument, metric, kind and window (below 2^28 s) as one number, each combination with its own.
CREATE FUNCTION lookup_key(instrument_id integer, metric text, kind text, window_seconds integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (CAST(instrument_id AS bigint) << 32) + window_seconds
  + CASE metric WHEN 'price' THEN 0 WHEN 'volume_24h' THEN 1 END * (1 << 30)
  + CASE kind WHEN 'change_since_last' THEN 0 WHEN 'change_over_window' THEN 1 WHEN 'deviation_from_average' THEN 2
              WHEN 'crosses' THEN 3 END * (1 << 28);

DROP INDEX subscriptions_armed, subscriptions_disarmed;
CREATE INDEX subscriptions_armed
  ON subscriptions (lookup_key(instrument_id, metric, kind, window_seconds), threshold, direction) WHERE status = 'active' AND armed;
CREATE INDEX subscriptions_disarmed
  ON subscriptions (lookup_key(instrument_id, metric, kind, window_seconds), direction, threshold) WHERE status = 'active' AND NOT armed;
