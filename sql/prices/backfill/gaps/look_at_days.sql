-- Look at [:start, :end) of every watched instrument, as far as its quotes can be expected by :now. A stretch without
-- candles that reaches back over :start is looked at from its beginning, but from :oldest at the earliest.
INSERT INTO looked_stretches (instrument_id, started_at, ended_at, tolerance, answer)
SELECT w.instrument_id, s.started_at, s.ended_at, t.tolerance, CASE WHEN w.exchange = 'index' THEN :index_answer END
FROM watched_instruments w
JOIN (
  SELECT exchange, seconds * interval '1 second' AS tolerance
  FROM unnest(CAST(:exchanges AS text[]), CAST(:seconds AS double precision[])) AS given (exchange, seconds)
) t ON t.exchange = w.exchange
LEFT JOIN LATERAL (
  SELECT opened_at FROM candles
  WHERE candles.instrument_id = w.instrument_id AND resolution = '1m' AND opened_at < CAST(:start AS timestamptz)
  ORDER BY opened_at DESC LIMIT 1
) before ON true
CROSS JOIN LATERAL (
  SELECT least(CAST(:start AS timestamptz), greatest(before.opened_at + interval '1 minute', :oldest)) AS started_at,
         least(CAST(:end AS timestamptz), date_bin('1 minute', CAST(:now AS timestamptz) - t.tolerance, '2000-01-01 00:00+00')) AS ended_at
) s
WHERE s.started_at < s.ended_at;
