-- The origin of the candles that open at :opened, one row each: the source, and the number of trades and of our own quotes
-- if all parts have one. Unlike select_candles, this reads the table and not only its index.
SELECT CASE WHEN CAST(:derived AS boolean) AND min(source) <> 'quotes' THEN 'rollup' ELSE CAST(min(source) AS text) END AS source,
       CASE WHEN count(trades) = count(*) THEN sum(trades) END AS trades,
       sum(samples) AS samples
FROM candles
WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
  AND opened_at >= :start AND opened_at < :end
GROUP BY width_bucket(opened_at, CAST(:opened AS timestamptz[]))
ORDER BY width_bucket(opened_at, CAST(:opened AS timestamptz[]));
