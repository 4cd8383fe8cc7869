-- The given time ranges, split into the parts whose minutes have been fetched from the exchange and the rest.
SELECT given.instrument_id, lower(part.range) AS started_at, upper(part.range) AS ended_at, part.fetched
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
  AS given (instrument_id, started_at, ended_at)
CROSS JOIN LATERAL (SELECT multirange(tstzrange(given.started_at, given.ended_at)) AS range) wanted
CROSS JOIN LATERAL (
  SELECT coalesce(range_agg(tstzrange(f.started_at, f.ended_at)), CAST('{}' AS tstzmultirange)) AS ranges
  FROM candle_fetches f
  WHERE f.instrument_id = given.instrument_id AND f.resolution = '1m'
    AND f.started_at < given.ended_at AND f.ended_at > given.started_at
) fetched
CROSS JOIN LATERAL (
  SELECT unnest(wanted.range * fetched.ranges) AS range, true AS fetched
  UNION ALL
  SELECT unnest(wanted.range - fetched.ranges), false
) part;
