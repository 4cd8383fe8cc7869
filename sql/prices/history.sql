-- Prices of one instrument in [start, end), oldest first, thinned to about :points rows: of each of :points / 4
-- equal stretches of time the first, the last, the lowest and the highest stay, so that no spike is lost.
WITH placed AS (
  SELECT observed_at, price, volume_24h, count(*) OVER () AS total,
         width_bucket(extract(epoch FROM observed_at), extract(epoch FROM CAST(:start AS timestamptz)),
                      extract(epoch FROM CAST(:end AS timestamptz)), greatest(1, CAST(:points AS integer) / 4)) AS bucket
  FROM prices
  WHERE instrument_id = :instrument_id AND observed_at >= :start AND observed_at < :end
), ranked AS (
  SELECT *,
         row_number() OVER (PARTITION BY bucket ORDER BY observed_at) AS from_first,
         row_number() OVER (PARTITION BY bucket ORDER BY observed_at DESC) AS from_last,
         row_number() OVER (PARTITION BY bucket ORDER BY price, observed_at) AS from_lowest,
         row_number() OVER (PARTITION BY bucket ORDER BY price DESC, observed_at) AS from_highest
  FROM placed
)
SELECT observed_at, price, volume_24h FROM ranked
WHERE total <= :points OR 1 IN (from_first, from_last, from_lowest, from_highest)
ORDER BY observed_at;
