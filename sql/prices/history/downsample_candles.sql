-- Candles of one instrument as points, oldest first: of those that open in each of :buckets equal buckets, the first
-- open, the last close, the lowest low and the highest high. A close is observed at the end of its candle; a low or high
-- has no time of its own and is placed in the middle of its candle.
SELECT DISTINCT least(points.at, CAST(:end AS timestamptz) - interval '1 microsecond') AS observed_at, points.price,
       CAST(NULL AS double precision) AS volume_24h
FROM generate_series(0, CAST(:buckets AS integer) - 1) AS bucket
CROSS JOIN LATERAL (
  SELECT CAST(:start AS timestamptz) + bucket * CAST(:width AS interval) AS lower_bound,
         CAST(:start AS timestamptz) + (bucket + 1) * CAST(:width AS interval) AS upper_bound
) bounds
CROSS JOIN LATERAL (
  (SELECT opened_at AS at, open AS price FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= lower_bound AND opened_at < upper_bound AND opened_at < :end
   ORDER BY opened_at LIMIT 1)
  UNION ALL
  (SELECT opened_at + CAST(:candle AS interval) / 2, low FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= lower_bound AND opened_at < upper_bound AND opened_at < :end
   ORDER BY low, opened_at LIMIT 1)
  UNION ALL
  (SELECT opened_at + CAST(:candle AS interval) / 2, high FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= lower_bound AND opened_at < upper_bound AND opened_at < :end
   ORDER BY high DESC, opened_at LIMIT 1)
  UNION ALL
  (SELECT opened_at + CAST(:candle AS interval), close FROM candles
   WHERE instrument_id = :instrument_id AND resolution = CAST(:resolution AS candle_resolution)
     AND opened_at >= lower_bound AND opened_at < upper_bound AND opened_at < :end
   ORDER BY opened_at DESC LIMIT 1)
) points
ORDER BY 1, 2;
