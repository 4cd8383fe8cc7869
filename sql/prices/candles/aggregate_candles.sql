-- Candles of one instrument aggregated from finer ones, oldest first: all :width long and the first opened at :start, or,
-- if :edges is not null, from each edge to the next (local days when the clocks change, months). Volume is null unless
-- every finer candle has one; sums are in order of time, so that the same candles always give the same bits.
SELECT CASE WHEN CAST(:edges AS timestamptz[]) IS NULL THEN date_bin(:width, opened_at, :start)
            ELSE (CAST(:edges AS timestamptz[]))[width_bucket(opened_at, CAST(:edges AS timestamptz[]))]
       END AS opened_at,
       (array_agg(open ORDER BY opened_at))[1] AS open, max(high) AS high, min(low) AS low,
       (array_agg(close ORDER BY opened_at))[count(*)] AS close,
       CASE WHEN count(volume) = count(*) THEN sum(volume ORDER BY opened_at) END AS volume,
       CAST(NULL AS integer) AS trades
FROM candles
WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
  AND opened_at >= :start AND opened_at < :end
GROUP BY 1
ORDER BY 1;
