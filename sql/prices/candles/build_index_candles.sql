-- Build the index's candles of one resolution where its exchanges' candles, or its own, changed: the median of each price, and
-- the sum of the volumes, if all are known. There is one where an exchange reported its own candle; then candles made of our
-- quotes count, too. As live, simulated exchanges count only for coins without a real one and aggregators don't count, and
-- an exchange without trades counts with its last price for :carried candles more. If only two exchanges have a price and one
-- is a hundred times the other, there is no candle: one computed before the second was known is deleted, with the coarser
-- ones made of it. What was computed live keeps its prices and gets the volume; what was rolled up from finer candles is
-- kept, and so is what real exchanges had before they were disabled. Notes what it writes as changed, so that coarser
-- candles follow; returns how many candles it wrote.
WITH members AS (
  SELECT i.instrument_id AS index_id, w.instrument_id,
         CASE WHEN NOT i.simulated THEN NULL
              WHEN EXISTS (
                SELECT FROM index_state s JOIN exchanges e ON jsonb_exists(s.price -> 'counted', e.code)
                WHERE s.instrument_id = i.instrument_id AND NOT e.simulated) THEN 'infinity'
              ELSE (SELECT max(started_at) FROM index_divisors d WHERE d.instrument_id = i.instrument_id)
         END AS simulated_from
  FROM watched_instruments i
  JOIN watched_instruments w ON w.base = i.base AND w.quote = i.quote AND w.simulated = i.simulated
  WHERE i.exchange = 'index' AND w.exchange <> 'index' AND NOT w.aggregator
), claimed AS (
  SELECT index_id, unnest(range_agg(tstzrange(
           date_bin(:width, first_at, '2000-01-01 00:00+00'),
           date_bin(:width, last_at, '2000-01-01 00:00+00') + (1 + :carried) * CAST(:width AS interval)))) AS bounds
  FROM (SELECT index_id, instrument_id FROM members UNION SELECT index_id, index_id FROM members) m
  JOIN claimed_ranges USING (instrument_id)
  WHERE changed IS NULL OR changed <= CAST(:resolution AS candle_resolution)
  GROUP BY index_id
), ranges AS (
  SELECT index_id, bounds FROM claimed r
  WHERE EXISTS (
    SELECT FROM members m
    JOIN candles c ON c.instrument_id = m.instrument_id AND c.resolution = CAST(:resolution AS candle_resolution)
    WHERE m.index_id = r.index_id AND c.opened_at >= lower(r.bounds) AND c.opened_at < upper(r.bounds) AND c.source = 'exchange'
    OFFSET 0
  )
), known AS (
  SELECT r.index_id, r.bounds, m.instrument_id, c.*,
         lead(opened_at) OVER (PARTITION BY r.index_id, m.instrument_id, r.bounds ORDER BY opened_at) AS next_at
  FROM ranges r
  JOIN members m ON m.index_id = r.index_id
  CROSS JOIN LATERAL (
    SELECT opened_at, open, high, low, close, volume, source = 'exchange' AS reported
    FROM candles
    WHERE candles.instrument_id = m.instrument_id AND resolution = CAST(:resolution AS candle_resolution)
      AND opened_at >= lower(r.bounds) - :carried * CAST(:width AS interval) AND opened_at < upper(r.bounds)
      AND (m.simulated_from IS NULL OR opened_at >= m.simulated_from)
    OFFSET 0
  ) c
), counted AS (
  SELECT index_id, bounds, instrument_id, opened_at, open, high, low, close, volume, reported FROM known
  UNION ALL
  SELECT index_id, bounds, instrument_id, moment, close, close, close, close, CASE WHEN reported THEN 0 END, false
  FROM known
  CROSS JOIN LATERAL generate_series(
    opened_at + CAST(:width AS interval),
    least(next_at, opened_at + (1 + :carried) * CAST(:width AS interval)) - CAST(:width AS interval), :width) AS moment
  WHERE next_at IS NULL OR next_at > opened_at + CAST(:width AS interval)
), medians AS (
  SELECT index_id, opened_at, count(*) > 2 OR max(high) < 100 * min(low) AS plausible,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY open) AS open, percentile_cont(0.5) WITHIN GROUP (ORDER BY high) AS high,
         percentile_cont(0.5) WITHIN GROUP (ORDER BY low) AS low, percentile_cont(0.5) WITHIN GROUP (ORDER BY close) AS close,
         CASE WHEN count(volume) = count(*) THEN sum(volume ORDER BY instrument_id) END AS volume
  FROM counted
  WHERE opened_at >= lower(bounds) AND opened_at < upper(bounds)
  GROUP BY index_id, opened_at
  HAVING bool_or(reported)
), computed AS (
  -- The mean of two prices is rounded, so that with far apart exchanges, the high may be a bit lower than the open.
  SELECT index_id, opened_at, plausible, open, greatest(open, high, close) AS high, least(open, low, close) AS low, close, volume
  FROM medians m
  WHERE CAST(:finer AS candle_resolution) IS NULL OR NOT EXISTS (
    SELECT FROM candles f
    WHERE f.instrument_id = m.index_id AND f.resolution = CAST(:finer AS candle_resolution)
      AND f.opened_at >= m.opened_at AND f.opened_at < m.opened_at + CAST(:width AS interval)
  )
), deleted AS (
  DELETE FROM candles c USING computed n
  WHERE c.instrument_id = n.index_id AND c.resolution = CAST(:resolution AS candle_resolution) AND c.opened_at = n.opened_at
    AND NOT n.plausible AND c.source = 'rollup'
  RETURNING c.instrument_id, c.opened_at
), deleted_coarser AS (
  DELETE FROM candles c USING deleted d
  WHERE c.instrument_id = d.instrument_id AND c.source = 'rollup'
    AND (c.resolution = '1h' AND c.opened_at = date_bin('1 hour', d.opened_at, '2000-01-01 00:00+00')
         OR c.resolution = '1d' AND c.opened_at = date_bin('1 day', d.opened_at, '2000-01-01 00:00+00'))
    AND c.resolution > CAST(:resolution AS candle_resolution)
), cleared AS (
  UPDATE candles c SET volume = NULL
  FROM computed n
  WHERE c.instrument_id = n.index_id AND c.resolution = CAST(:resolution AS candle_resolution) AND c.opened_at = n.opened_at
    AND NOT n.plausible AND c.source = 'quotes' AND c.volume IS NOT NULL
  RETURNING c.instrument_id, c.opened_at
), stored AS (
  INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, volume, source)
  SELECT index_id, CAST(:resolution AS candle_resolution), opened_at, open, high, low, close, volume, 'rollup'
  FROM computed
  WHERE plausible
  ORDER BY index_id, opened_at
  ON CONFLICT (instrument_id, resolution, opened_at) DO UPDATE
  SET open = CASE candles.source WHEN 'quotes' THEN candles.open ELSE excluded.open END,
      high = CASE candles.source WHEN 'quotes' THEN candles.high ELSE excluded.high END,
      low = CASE candles.source WHEN 'quotes' THEN candles.low ELSE excluded.low END,
      close = CASE candles.source WHEN 'quotes' THEN candles.close ELSE excluded.close END,
      volume = excluded.volume
  WHERE candles.source <> 'exchange'
    AND (candles.volume IS DISTINCT FROM excluded.volume
         OR candles.source <> 'quotes' AND (candles.open, candles.high, candles.low, candles.close)
                                           IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close))
  RETURNING instrument_id, opened_at
), written AS (
  SELECT * FROM deleted UNION ALL SELECT * FROM cleared UNION ALL SELECT * FROM stored
), noted AS (
  INSERT INTO claimed_ranges (instrument_id, changed, first_at, last_at)
  SELECT instrument_id, CAST(:resolution AS candle_resolution), min(opened_at), max(opened_at) FROM written
  GROUP BY instrument_id, date_bin('1 day', opened_at, '2000-01-01 00:00+00')
)
SELECT count(*) FROM written;
