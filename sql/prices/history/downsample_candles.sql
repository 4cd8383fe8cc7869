-- Candles of one instrument as points, oldest first: of those opened in each of :stretches equal stretches of time the
-- first's open, the last's close, the lowest low and the highest high. A close is known at its candle's end; a low
-- and a high have no time of their own and stand in the middle of their candle.
SELECT DISTINCT least(kept.at, CAST(:end AS timestamptz) - interval '1 microsecond') AS observed_at, kept.price,
       CAST(NULL AS double precision) AS volume_24h
FROM generate_series(0, CAST(:stretches AS integer) - 1) AS stretch
CROSS JOIN LATERAL (
  SELECT CAST(:start AS timestamptz) + stretch * CAST(:width AS interval) AS begins,
         CAST(:start AS timestamptz) + (stretch + 1) * CAST(:width AS interval) AS ends
) s
CROSS JOIN LATERAL (
  (SELECT opened_at AS at, open AS price FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= begins AND opened_at < ends AND opened_at < :end
   ORDER BY opened_at LIMIT 1)
  UNION ALL
  (SELECT opened_at + CAST(:candle AS interval) / 2, low FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= begins AND opened_at < ends AND opened_at < :end
   ORDER BY low, opened_at LIMIT 1)
  UNION ALL
  (SELECT opened_at + CAST(:candle AS interval) / 2, high FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= begins AND opened_at < ends AND opened_at < :end
   ORDER BY high DESC, opened_at LIMIT 1)
  UNION ALL
  (SELECT opened_at + CAST(:candle AS interval), close FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= begins AND opened_at < ends AND opened_at < :end
   ORDER BY opened_at DESC LIMIT 1)
) kept
ORDER BY 1, 2;
