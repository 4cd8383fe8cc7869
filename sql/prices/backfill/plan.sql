-- What to ask one exchange for, of the stretches that are wanted in one resolution. `ask`: not known yet. `gone`: older
-- than the exchange keeps, and never fetched. `unavailable`: known to be missing there. What was stored is asked for
-- `again` on demand, but not where it is gone by now.
WITH wanted AS (
  SELECT instrument_id, range_agg(tstzrange(started_at, ended_at)) AS stretches
  FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
    AS given (instrument_id, started_at, ended_at)
  GROUP BY instrument_id
), known AS (
  SELECT w.instrument_id, w.stretches,
         coalesce(f.unavailable, '{}') AS unavailable, coalesce(f.stored, '{}') AS stored,
         tstzmultirange(tstzrange('-infinity', coalesce(CAST(:kept_from AS timestamptz), '-infinity'))) AS gone
  FROM wanted w
  LEFT JOIN LATERAL (
    SELECT range_agg(tstzrange(started_at, ended_at)) FILTER (WHERE outcome = 'unavailable') AS unavailable,
           range_agg(tstzrange(started_at, ended_at)) FILTER (WHERE outcome = 'stored') AS stored
    FROM candle_fetches c
    WHERE c.instrument_id = w.instrument_id AND c.resolution = CAST(:resolution AS candle_resolution)
      AND c.started_at < upper(w.stretches) AND c.ended_at > lower(w.stretches)
  ) f ON true
), planned AS (
  SELECT instrument_id, 'ask' AS kind,
         stretches - unavailable - gone - CASE WHEN CAST(:again AS boolean) THEN '{}' ELSE stored END AS stretches
  FROM known
  UNION ALL
  SELECT instrument_id, 'gone', stretches * gone - unavailable - stored FROM known
  UNION ALL
  SELECT instrument_id, 'unavailable', stretches * unavailable FROM known
)
SELECT instrument_id, kind, lower(stretch) AS started_at, upper(stretch) AS ended_at
FROM planned CROSS JOIN LATERAL unnest(stretches) AS stretch
ORDER BY instrument_id, started_at;
