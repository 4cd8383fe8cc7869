-- Split the wanted ranges of one resolution by what is known: `to_fetch` is not fetched yet, `expired` is older than the
-- exchange keeps and was never fetched, `unavailable` is known not to exist there. With :again, stored ranges are fetched
-- again, unless they have expired.
WITH wanted AS (
  SELECT instrument_id, range_agg(tstzrange(started_at, ended_at)) AS ranges
  FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
    AS given (instrument_id, started_at, ended_at)
  GROUP BY instrument_id
), known AS (
  SELECT w.instrument_id, w.ranges,
         coalesce(f.unavailable, '{}') AS unavailable, coalesce(f.stored, '{}') AS stored,
         tstzmultirange(tstzrange('-infinity', coalesce(CAST(:kept_from AS timestamptz), '-infinity'))) AS expired
  FROM wanted w
  LEFT JOIN LATERAL (
    SELECT range_agg(tstzrange(started_at, ended_at)) FILTER (WHERE outcome = 'unavailable') AS unavailable,
           range_agg(tstzrange(started_at, ended_at)) FILTER (WHERE outcome = 'stored') AS stored
    FROM candle_fetches c
    WHERE c.instrument_id = w.instrument_id AND c.resolution = CAST(:resolution AS candle_resolution)
      AND c.started_at < upper(w.ranges) AND c.ended_at > lower(w.ranges)
  ) f ON true
), planned AS (
  SELECT instrument_id, 'to_fetch' AS kind,
         ranges - unavailable - expired - CASE WHEN CAST(:again AS boolean) THEN '{}' ELSE stored END AS ranges
  FROM known
  UNION ALL
  SELECT instrument_id, 'expired', ranges * expired - unavailable - stored FROM known
  UNION ALL
  SELECT instrument_id, 'unavailable', ranges * unavailable FROM known
)
SELECT instrument_id, kind, lower(part) AS started_at, upper(part) AS ended_at
FROM planned CROSS JOIN LATERAL unnest(ranges) AS part
ORDER BY instrument_id, started_at;
