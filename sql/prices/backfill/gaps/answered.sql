-- The given stretches in parts: those for whose minutes the exchange has given an answer, and the rest.
SELECT given.instrument_id, lower(part.stretch) AS started_at, upper(part.stretch) AS ended_at, part.answered
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
  AS given (instrument_id, started_at, ended_at)
CROSS JOIN LATERAL (SELECT multirange(tstzrange(given.started_at, given.ended_at)) AS stretch) asked
CROSS JOIN LATERAL (
  SELECT coalesce(range_agg(tstzrange(f.started_at, f.ended_at)), CAST('{}' AS tstzmultirange)) AS stretches
  FROM candle_fetches f
  WHERE f.instrument_id = given.instrument_id AND f.resolution = '1m'
    AND f.started_at < given.ended_at AND f.ended_at > given.started_at
) fetched
CROSS JOIN LATERAL (
  SELECT unnest(asked.stretch * fetched.stretches) AS stretch, true AS answered
  UNION ALL
  SELECT unnest(asked.stretch - fetched.stretches), false
) part;
