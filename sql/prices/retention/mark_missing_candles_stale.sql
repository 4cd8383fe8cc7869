-- Count, by instrument, the minutes of one day whose prices are not in a candle: there is none, or it was made of fewer
-- quotes than are stored. These candles are marked stale. It works by instrument, so that candles of no other day are
-- read; the bounds are parameters, so that the partitions of other days are pruned.
WITH behind AS (
  SELECT i.instrument_id, m.minutes, m.first_at, m.last_at
  FROM (SELECT DISTINCT instrument_id FROM prices WHERE observed_at >= :start AND observed_at < :end) i
  CROSS JOIN LATERAL (
    SELECT count(*) AS minutes, min(q.opened_at) AS first_at, max(q.opened_at) AS last_at
    FROM (
      SELECT date_bin('1 minute', observed_at, '2000-01-01 00:00+00') AS opened_at, count(*) AS quotes
      FROM prices
      WHERE prices.instrument_id = i.instrument_id AND observed_at >= :start AND observed_at < :end
      GROUP BY 1
    ) q
    LEFT JOIN (
      SELECT opened_at, samples, source FROM candles
      WHERE candles.instrument_id = i.instrument_id AND resolution = '1m' AND opened_at >= :start AND opened_at < :end
      OFFSET 0
    ) c ON c.opened_at = q.opened_at
    WHERE c.opened_at IS NULL OR (c.source = 'quotes' AND coalesce(c.samples, 0) < q.quotes)
  ) m
  WHERE m.minutes > 0
), marked AS (
  INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
  SELECT instrument_id, NULL, first_at, last_at FROM behind ORDER BY instrument_id
)
SELECT instrument_id, minutes FROM behind ORDER BY instrument_id;
