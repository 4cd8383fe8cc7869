-- The price of each of :instrument_ids at each of :moments: the close of the one-minute or hourly candle that ended last by
-- then, but not before the corresponding moment in :oldest; null if there is none. Closes of an index are converted by its
-- divisors, so that they can be compared with a price whose divisor is the corresponding one in :divisors.
SELECT i.instrument_id, ARRAY(
  SELECT found.close * i.divisor / coalesce(
           (SELECT d.price_divisor FROM index_divisors d
            WHERE d.instrument_id = i.instrument_id AND d.started_at < found.ended_at
            ORDER BY d.started_at DESC LIMIT 1), 1)
  FROM unnest(CAST(:moments AS timestamptz[]), CAST(:oldest AS timestamptz[]))
       WITH ORDINALITY AS m (moment, oldest, number)
  LEFT JOIN LATERAL (
    SELECT close, ended_at FROM (
      (SELECT close, opened_at + interval '1 minute' AS ended_at
       FROM candles c
       WHERE c.instrument_id = i.instrument_id AND c.resolution = '1m'
         AND c.opened_at <= m.moment - interval '1 minute' AND c.opened_at >= m.oldest - interval '1 minute'
       ORDER BY c.opened_at DESC LIMIT 1)
      UNION ALL
      (SELECT close, opened_at + interval '1 hour' AS ended_at
       FROM candles c
       WHERE c.instrument_id = i.instrument_id AND c.resolution = '1h'
         AND c.opened_at <= m.moment - interval '1 hour' AND c.opened_at >= m.oldest - interval '1 hour'
       ORDER BY c.opened_at DESC LIMIT 1)
    ) candidates
    ORDER BY ended_at DESC LIMIT 1
  ) found ON true
  ORDER BY m.number
) AS prices
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:divisors AS double precision[])) AS i (instrument_id, divisor);
