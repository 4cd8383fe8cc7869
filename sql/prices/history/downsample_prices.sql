-- Prices of one instrument in [start, end), oldest first: of each of :buckets equal buckets the first, last, lowest and
-- highest, so that no spike is lost. The lowest and highest are found while reading, without sorting. The range is
-- repeated in every part, so that the planner prunes the partitions of other days.
SELECT DISTINCT points.observed_at, points.price, points.volume_24h
FROM generate_series(0, CAST(:buckets AS integer) - 1) AS bucket
CROSS JOIN LATERAL (
  SELECT CAST(:start AS timestamptz) + bucket * CAST(:width AS interval) AS lower_bound,
         CAST(:start AS timestamptz) + (bucket + 1) * CAST(:width AS interval) AS upper_bound
) bounds
CROSS JOIN LATERAL (
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= lower_bound AND observed_at < upper_bound
   ORDER BY observed_at LIMIT 1)
  UNION ALL
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= lower_bound AND observed_at < upper_bound
   ORDER BY observed_at DESC LIMIT 1)
  UNION ALL
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= lower_bound AND observed_at < upper_bound
   ORDER BY price, observed_at LIMIT 1)
  UNION ALL
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= lower_bound AND observed_at < upper_bound
   ORDER BY price DESC, observed_at LIMIT 1)
) points
ORDER BY points.observed_at;
