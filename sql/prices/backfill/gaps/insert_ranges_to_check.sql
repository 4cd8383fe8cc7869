-- Check [:start, :end) of every watched instrument, up to the latest minute that can be expected by :now, all other open
-- gaps, which may have become longer, and unavailable ones with candles from an import or, in the index, of a later fetch. If candles are missing right before :start, the check starts where they end,
-- but not before :oldest. With :continued, instruments that were checked beyond :end by an earlier check are left out. While an instrument's
-- history is being fetched, the time before that began is not checked.
WITH watched AS (
  SELECT w.instrument_id, w.exchange, w.base, w.quote, t.seconds * interval '1 second' AS tolerance
  FROM watched_instruments w
  JOIN unnest(CAST(:exchanges AS text[]), CAST(:seconds AS double precision[])) AS t (exchange, seconds)
    ON t.exchange = w.exchange
), days AS (
  SELECT w.instrument_id, r.started_at, r.ended_at, w.tolerance,
         CASE WHEN w.exchange = 'index' THEN :index_reason END AS reason
  FROM watched w
  LEFT JOIN LATERAL (
    SELECT opened_at FROM candles
    WHERE candles.instrument_id = w.instrument_id AND resolution = '1m' AND opened_at < CAST(:start AS timestamptz)
    ORDER BY opened_at DESC LIMIT 1
  ) before ON true
  LEFT JOIN LATERAL (
    SELECT max(h.started_at) AS begun_at
    FROM history_backfills h
    JOIN instruments i ON i.id = h.instrument_id
    WHERE h.completed_days IS NULL
      AND (h.instrument_id = w.instrument_id OR w.exchange = 'index' AND i.base = w.base AND i.quote = w.quote)
  ) history ON true
  CROSS JOIN LATERAL (
    SELECT greatest(least(CAST(:start AS timestamptz), greatest(before.opened_at + interval '1 minute', :oldest)),
                    history.begun_at) AS started_at,
           least(CAST(:end AS timestamptz),
                 date_bin('1 minute', CAST(:now AS timestamptz) - w.tolerance, '2000-01-01 00:00+00')) AS ended_at
  ) r
  LEFT JOIN gap_checks c ON c.instrument_id = w.instrument_id
  WHERE r.started_at < r.ended_at AND (NOT :continued OR c.checked_until IS NULL OR c.checked_until <= :end)
), other_gaps AS (
  SELECT g.instrument_id, w.tolerance, CASE WHEN w.exchange = 'index' THEN :index_reason END AS reason,
         unnest(range_agg(tstzrange(g.started_at, n.ended_at)) - coalesce(
           (SELECT range_agg(tstzrange(d.started_at, d.ended_at)) FROM days d WHERE d.instrument_id = g.instrument_id),
           CAST('{}' AS tstzmultirange))) AS range
  FROM gaps g
  JOIN watched w ON w.instrument_id = g.instrument_id
  CROSS JOIN LATERAL (
    SELECT CASE g.status WHEN 'unavailable' THEN g.ended_at ELSE greatest(g.ended_at, least(
      (SELECT opened_at FROM candles
       WHERE candles.instrument_id = g.instrument_id AND resolution = '1m' AND opened_at >= g.ended_at
       ORDER BY opened_at LIMIT 1),
      date_bin('1 minute', CAST(:now AS timestamptz) - w.tolerance, '2000-01-01 00:00+00'))) END AS ended_at
  ) n
  WHERE g.status = 'open' OR g.status = 'unavailable' AND EXISTS (
    SELECT FROM candles
    WHERE candles.instrument_id = g.instrument_id AND resolution = '1m'
      AND opened_at >= g.started_at AND opened_at < g.ended_at
    OFFSET 0
  )
  GROUP BY g.instrument_id, w.tolerance, w.exchange
)
INSERT INTO checked_ranges (instrument_id, started_at, ended_at, tolerance, reason)
SELECT instrument_id, started_at, ended_at, tolerance, reason FROM days
UNION ALL
SELECT instrument_id, lower(range), upper(range), tolerance, reason FROM other_gaps;
