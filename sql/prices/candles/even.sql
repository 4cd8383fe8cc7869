-- Candles of one instrument that are all :width long, the first one opened at :start, made of finer ones. Volume is known
-- only where that of every finer candle is. Sums go by time, so that the same candles give the same bits.
SELECT date_bin(:width, opened_at, :start) AS opened_at,
       (array_agg(open ORDER BY opened_at))[1] AS open, max(high) AS high, min(low) AS low,
       (array_agg(close ORDER BY opened_at))[count(*)] AS close,
       CASE WHEN count(volume) = count(*) THEN sum(volume ORDER BY opened_at) END AS volume,
       CAST(NULL AS integer) AS trades
FROM candles
WHERE instrument_id = :instrument_id AND resolution = CAST(:made_of AS candle_resolution)
  AND opened_at >= :start AND opened_at < :end
GROUP BY 1
ORDER BY 1;
