-- Look again at every open gap of a watched instrument, as far as the days looked at do not cover it.
INSERT INTO looked_stretches (instrument_id, started_at, ended_at, tolerance)
SELECT instrument_id, lower(rest), upper(rest), tolerance
FROM (
  SELECT g.instrument_id, t.seconds * interval '1 second' AS tolerance,
         unnest(multirange(tstzrange(g.started_at, g.ended_at)) - coalesce(
           (SELECT range_agg(tstzrange(l.started_at, l.ended_at)) FROM looked_stretches l
            WHERE l.instrument_id = g.instrument_id AND l.started_at < g.ended_at AND l.ended_at > g.started_at),
           CAST('{}' AS tstzmultirange))) AS rest
  FROM gaps g
  JOIN watched_instruments w ON w.instrument_id = g.instrument_id
  JOIN unnest(CAST(:exchanges AS text[]), CAST(:seconds AS double precision[])) AS t (exchange, seconds)
    ON t.exchange = w.exchange
  WHERE g.status = 'open'
) open;
