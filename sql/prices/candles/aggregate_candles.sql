-- Candles of one instrument aggregated from finer ones, oldest first: all :width long and the first opened at :start, or,
-- if :run_starts is not null, from each opening time to the next (local days when the clocks change, months): runs of
-- :run_lengths opening times :width apart. Volume is null unless every finer candle has one; sums are in order of time, so
-- that the same candles always give the same bits.
WITH openings AS (
  SELECT array_agg(moment ORDER BY moment) AS moments
  FROM unnest(CAST(:run_starts AS timestamptz[]), CAST(:run_lengths AS integer[])) AS run (start, length)
  CROSS JOIN LATERAL generate_series(0, length - 1) AS n
  CROSS JOIN LATERAL (SELECT start + n * CAST(:width AS interval) AS moment) opening
)
SELECT CASE WHEN CAST(:run_starts AS timestamptz[]) IS NULL THEN date_bin(:width, opened_at, :start)
            ELSE (SELECT moments FROM openings)[width_bucket(opened_at, (SELECT moments FROM openings))]
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
