-- Where candles come from, one row for each of the moments :opened at which they were opened: source, and numbers of
-- trades and of our own quotes where all of their parts tell them. For those who ask: it reads the table, not the index.
SELECT CASE WHEN CAST(:derived AS boolean) AND min(source) <> 'quotes' THEN 'rollup' ELSE CAST(min(source) AS text) END AS source,
       CASE WHEN count(trades) = count(*) THEN sum(trades) END AS trades,
       sum(samples) AS samples
FROM candles
WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
  AND opened_at >= :start AND opened_at < :end
GROUP BY width_bucket(opened_at, CAST(:opened AS timestamptz[]))
ORDER BY width_bucket(opened_at, CAST(:opened AS timestamptz[]));
