-- Build the index's candles of one resolution where the candles of its exchanges changed: the median of each price, and the
-- sum of the volumes. As live, simulated exchanges count only for coins without a real one and aggregators don't count, and
-- an exchange without trades counts with its last price for :carried candles more. If only two exchanges have a price and one
-- is a hundred times the other, there is no candle. What was computed live keeps its prices and gets the volume; what was
-- rolled up from finer candles is kept, and so is what real exchanges had before they were disabled. Notes the ranges as changed, so that coarser candles follow.
WITH members AS (
  SELECT i.instrument_id AS index_id, w.instrument_id,
         CASE WHEN i.simulated THEN (
           SELECT max(started_at) FROM index_divisors d WHERE d.instrument_id = i.instrument_id) END AS simulated_from
  FROM watched_instruments i
  JOIN watched_instruments w ON w.base = i.base AND w.quote = i.quote AND w.simulated = i.simulated
  WHERE i.exchange = 'index' AND w.exchange <> 'index' AND NOT w.aggregator
), ranges AS (
  SELECT index_id, unnest(range_agg(tstzrange(
           date_bin(:width, first_at, '2000-01-01 00:00+00'),
           date_bin(:width, last_at, '2000-01-01 00:00+00') + (1 + :carried) * CAST(:width AS interval)))) AS bounds
  FROM claimed_ranges JOIN members USING (instrument_id)
  WHERE changed = CAST(:resolution AS candle_resolution)
  GROUP BY index_id
), noted AS (
  INSERT INTO claimed_ranges (instrument_id, changed, first_at, last_at)
  SELECT index_id, CAST(:resolution AS candle_resolution), lower(bounds), upper(bounds) - CAST(:width AS interval) FROM ranges
), known AS (
  SELECT r.index_id, r.bounds, c.*,
         lead(opened_at) OVER (PARTITION BY r.index_id, m.instrument_id, r.bounds ORDER BY opened_at) AS next_at
  FROM ranges r
  JOIN members m ON m.index_id = r.index_id
  CROSS JOIN LATERAL (
    SELECT opened_at, open, high, low, close, volume
    FROM candles
    WHERE candles.instrument_id = m.instrument_id AND resolution = CAST(:resolution AS candle_resolution)
      AND opened_at >= lower(r.bounds) - :carried * CAST(:width AS interval) AND opened_at < upper(r.bounds)
      AND (m.simulated_from IS NULL OR opened_at >= m.simulated_from)
    OFFSET 0
  ) c
), counted AS (
  SELECT index_id, bounds, opened_at, open, high, low, close, volume, true AS traded FROM known
  UNION ALL
  SELECT index_id, bounds, moment, close, close, close, close, 0, false
  FROM known
  CROSS JOIN LATERAL generate_series(
    opened_at + CAST(:width AS interval),
    least(next_at, opened_at + (1 + :carried) * CAST(:width AS interval)) - CAST(:width AS interval), :width) AS moment
  WHERE next_at IS NULL OR next_at > opened_at + CAST(:width AS interval)
), medians AS (
  SELECT index_id, opened_at,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY open) AS open, percentile_cont(0.5) WITHIN GROUP (ORDER BY high) AS high,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY low) AS low, percentile_cont(0.5) WITHIN GROUP (ORDER BY close) AS close,
         CASE WHEN count(volume) = count(*) THEN sum(volume) END AS volume
  FROM counted
  WHERE opened_at >= lower(bounds) AND opened_at < upper(bounds)
  GROUP BY index_id, opened_at
  HAVING bool_or(traded) AND (count(*) > 2 OR max(high) < 100 * min(low))
)
INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, source)
SELECT index_id, CAST(:resolution AS candle_resolution), opened_at, open, high, low, close, volume, 'rollup'
FROM medians m
WHERE CAST(:finer AS candle_resolution) IS NULL OR NOT EXISTS (
  SELECT FROM candles f
  WHERE f.instrument_id = m.index_id AND f.resolution = CAST(:finer AS candle_resolution)
    AND f.opened_at >= m.opened_at AND f.opened_at < m.opened_at + CAST(:width AS interval)
)
ORDER BY index_id, opened_at
ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
SET open = CASE candles.source WHEN 'quotes' THEN candles.open ELSE excluded.open END,
    high = CASE candles.source WHEN 'quotes' THEN candles.high ELSE excluded.high END,
    low = CASE candles.source WHEN 'quotes' THEN candles.low ELSE excluded.low END,
    close = CASE candles.source WHEN 'quotes' THEN candles.close ELSE excluded.close END,
    volume = excluded.volume
WHERE candles.volume IS DISTINCT FROM excluded.volume
   OR candles.source <> 'quotes' AND (candles.open, candles.high, candles.low, candles.close)
                                     IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close);
