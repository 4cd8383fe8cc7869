-- Prices of one instrument in [start, end), oldest first: of each of :stretches equal stretches of time the first, the last,
-- the lowest and the highest, so that no spike is lost. The lowest and the highest are found while reading, without
-- sorting. The range stands in every part once more, for the planner to leave out the other days' partitions.
SELECT DISTINCT kept.observed_at, kept.price, kept.volume_24h
FROM generate_series(0, CAST(:stretches AS integer) - 1) AS stretch
CROSS JOIN LATERAL (
  SELECT CAST(:start AS timestamptz) + stretch * CAST(:width AS interval) AS begins,
         CAST(:start AS timestamptz) + (stretch + 1) * CAST(:width AS interval) AS ends
) s
CROSS JOIN LATERAL (
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= begins AND observed_at < ends
   ORDER BY observed_at LIMIT 1)
  UNION ALL
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= begins AND observed_at < ends
   ORDER BY observed_at DESC LIMIT 1)
  UNION ALL
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= begins AND observed_at < ends
   ORDER BY price, observed_at LIMIT 1)
  UNION ALL
  (SELECT observed_at, price, volume_24h FROM prices
   WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
     AND observed_at >= begins AND observed_at < ends
   ORDER BY price DESC, observed_at LIMIT 1)
) kept
ORDER BY kept.observed_at;
