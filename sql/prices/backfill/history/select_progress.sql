-- For each exchange with candles: its watched instruments, how many days of their history were fetched or are not available
-- (on average), and an error if one could not be fetched.
SELECT w.exchange, count(*) AS instruments, count(*) FILTER (WHERE h.completed_days >= :days) AS complete,
       avg(CASE WHEN h.completed_days >= :days THEN :days ELSE least(:days, fetched.days) END) AS days_fetched,
       min(w.pair || ': ' || h.error) FILTER (WHERE h.error IS NOT NULL) AS error
FROM history_backfills h
JOIN watched_instruments w ON w.instrument_id = h.instrument_id
CROSS JOIN LATERAL (
  SELECT coalesce(sum(extract(epoch FROM upper(part) - lower(part))) / 86400, 0) AS days
  FROM (
    SELECT unnest(range_agg(tstzrange(started_at, ended_at)) * tstzmultirange(
             tstzrange(CAST(:now AS timestamptz) - :days * interval '1 day', :now))) AS part
    FROM candle_fetches f WHERE f.instrument_id = h.instrument_id AND (h.completed_days IS NULL OR h.completed_days < :days)
  ) parts
) fetched
GROUP BY w.exchange
ORDER BY w.exchange;
