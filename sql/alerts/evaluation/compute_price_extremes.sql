-- new_high and new_low: the highest and lowest price of each period before the pending quotes of an hour, unless it is stored
-- already, there is not enough history, or the period has no price before the hour. A period starts on a full hour up to a week, on a UTC day beyond; 0 is all time.
-- Its full days and hours are read from candles. The hour before :recent_from's end may not be complete in the candles yet,
-- so prices are read from :recent_from on; and those of a batch's first hour up to the watermark.
--
-- Extremes are arrays of a value and its time in seconds, negated for lows: of equal ones the latest. They are divided by
-- the divisors of the index (see prices.divisors); a candle during which those changed counts with the one that makes it
-- most extreme, because a high that is not new must not fire. NOT IN reads the stored rows once, into a hash table.
INSERT INTO period_extremes (instrument_id, metric, window_seconds, hour, high, high_at, low, low_at)
WITH hours AS (
  SELECT instrument_id, date_bin('1 hour', observed_at, '2000-01-01 00:00+00') AS hour
  FROM pending_quotes
  WHERE metric = 'price' AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
  GROUP BY 1, 2
), needed AS (
  SELECT h.instrument_id, h.hour, period.seconds, bounds.*,
         EXISTS (SELECT FROM index_divisors d WHERE d.instrument_id = h.instrument_id) AS chained
  FROM hours h
  CROSS JOIN unnest(CAST(:periods AS integer[])) period (seconds)
  CROSS JOIN LATERAL (
    SELECT CASE WHEN seconds = 0 THEN '-infinity' WHEN seconds <= 604800 THEN h.hour - make_interval(secs => seconds)
                ELSE date_bin('1 day', h.hour - make_interval(secs => seconds), '2000-01-01 00:00+00') END AS starts_at,
           least(h.hour, CAST(:recent_from AS timestamptz)) AS candles_until
  ) bounds
  WHERE (h.instrument_id, seconds, h.hour) NOT IN (SELECT instrument_id, window_seconds, hour FROM period_extremes WHERE metric = 'price')
    AND CASE WHEN seconds IN (2592000, 31449600) THEN EXISTS (
      SELECT FROM candles c WHERE c.instrument_id = h.instrument_id AND resolution = '1d' AND opened_at <= bounds.starts_at)
    ELSE EXISTS (
      SELECT FROM candles c
      WHERE c.instrument_id = h.instrument_id AND resolution = '1h'
        AND opened_at <= CASE WHEN seconds = 0 THEN h.hour - interval '1 day' ELSE bounds.starts_at END) END
), spans AS (
  SELECT instrument_id, hour, seconds, chained, CAST('1h' AS candle_resolution) AS resolution, interval '1 hour' AS width,
         CASE WHEN seconds IN (86400, 604800) THEN starts_at ELSE date_bin('1 day', candles_until, '2000-01-01 00:00+00') END AS from_at,
         candles_until AS until
  FROM needed
  UNION ALL
  SELECT instrument_id, hour, seconds, chained, '1d', '1 day', starts_at, date_bin('1 day', candles_until, '2000-01-01 00:00+00')
  FROM needed WHERE seconds NOT IN (86400, 604800)
), of_spans AS (
  SELECT s.instrument_id, s.seconds, s.resolution, s.from_at, s.until, extremes.*
  FROM (SELECT DISTINCT instrument_id, seconds, chained, resolution, width, from_at, until FROM spans) s
  CROSS JOIN LATERAL (
    SELECT max(ARRAY[high / coalesce(lowest, 1), date_part('epoch', opened_at)]) AS high,
           min(ARRAY[low / coalesce(highest, 1), -date_part('epoch', opened_at)]) AS low
    FROM candles c
    LEFT JOIN LATERAL (
      SELECT min(price_divisor) AS lowest, max(price_divisor) AS highest
      FROM index_divisors d
      WHERE s.chained AND d.instrument_id = s.instrument_id AND d.started_at < c.opened_at + s.width
        AND d.started_at >= coalesce((SELECT max(started_at) FROM index_divisors b
                                      WHERE b.instrument_id = s.instrument_id AND b.started_at <= c.opened_at), '-infinity')
    ) divisors ON s.chained
    WHERE c.instrument_id = s.instrument_id AND c.resolution = s.resolution AND c.opened_at >= s.from_at AND c.opened_at < s.until
    OFFSET 0
  ) extremes
), recent AS (
  SELECT i.instrument_id, date_bin('1 hour', p.observed_at, '2000-01-01 00:00+00') AS hour, p.observed_at <= w.evaluated_to AS evaluated,
         max(ARRAY[value, date_part('epoch', p.observed_at)]) AS high, min(ARRAY[value, -date_part('epoch', p.observed_at)]) AS low
  FROM (SELECT instrument_id, min(hour) AS first_hour FROM needed GROUP BY instrument_id) i
  JOIN evaluation_watermarks w ON w.instrument_id = i.instrument_id AND w.metric = 'price'
  CROSS JOIN LATERAL (
    SELECT observed_at, price / coalesce(divisors[1], 1) AS value FROM prices
    WHERE prices.instrument_id = i.instrument_id AND observed_at >= :recent_from AND observed_at <= :newest
    UNION ALL
    SELECT observed_at, price / coalesce(divisors[1], 1) FROM prices
    WHERE prices.instrument_id = i.instrument_id AND observed_at >= i.first_hour AND observed_at <= w.evaluated_to
      AND observed_at >= :first_hour AND observed_at < :recent_from
    OFFSET 0
  ) p
  GROUP BY 1, 2, 3
), extremes AS (
  SELECT s.instrument_id, s.hour, s.seconds, o.high, o.low, o.high IS NOT NULL AS earlier FROM spans s
  JOIN of_spans o USING (instrument_id, seconds, resolution, from_at, until)
  UNION ALL
  SELECT n.instrument_id, n.hour, n.seconds, r.high, r.low, r.hour < n.hour FROM needed n
  JOIN recent r ON r.instrument_id = n.instrument_id AND (r.hour < n.hour OR r.hour = n.hour AND r.evaluated)
  WHERE r.hour >= n.candles_until
)
SELECT instrument_id, 'price', seconds, hour, (max(high))[1], to_timestamp((max(high))[2]), (min(low))[1], to_timestamp(-(min(low))[2])
FROM extremes
GROUP BY instrument_id, seconds, hour
HAVING bool_or(earlier);
