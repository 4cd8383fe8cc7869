-- Candles of one instrument from each of the edges to the next, made of finer ones: days by a clock that is put forward
-- and back, months. Volume is known only where that of every finer candle is; sums go by time.
SELECT (CAST(:edges AS timestamptz[]))[place], open, high, low, close, volume, CAST(NULL AS integer) AS trades
FROM (
  SELECT width_bucket(opened_at, CAST(:edges AS timestamptz[])) AS place,
         (array_agg(open ORDER BY opened_at))[1] AS open, max(high) AS high, min(low) AS low,
         (array_agg(close ORDER BY opened_at))[count(*)] AS close,
         CASE WHEN count(volume) = count(*) THEN sum(volume ORDER BY opened_at) END AS volume
  FROM candles
  WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
    AND opened_at >= :start AND opened_at < :end
  GROUP BY 1
) made
ORDER BY place;
