-- The closes of the hourly candles of each of :instrument_ids that opened at or after :start, and how many hours after it they
-- did. Only columns of the covering index are read.
SELECT i.instrument_id, h.hours, h.closes
FROM unnest(CAST(:instrument_ids AS integer[])) AS i (instrument_id)
CROSS JOIN LATERAL (
  SELECT array_agg(CAST(extract(epoch FROM opened_at - CAST(:start AS timestamptz)) / 3600 AS integer) ORDER BY opened_at) AS hours,
         array_agg(close ORDER BY opened_at) AS closes
  FROM candles
  WHERE candles.instrument_id = i.instrument_id AND resolution = '1h' AND opened_at >= :start
) h;
