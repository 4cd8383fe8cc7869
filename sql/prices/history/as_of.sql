-- What each instrument last cost at or before :moment, no older than :oldest: of its last price and the closes of its last
-- candles of each resolution that were over by then, the one that began last. A price comes before the candle that it is in.
SELECT asked.instrument_id, told.price, told.observed_at, told.bid, told.ask, told.kind
FROM unnest(CAST(:instrument_ids AS integer[])) AS asked (instrument_id)
CROSS JOIN LATERAL (
  (SELECT price, observed_at, bid, ask, 'prices' AS kind, observed_at AS since, 0 AS coarseness
   FROM prices
   WHERE instrument_id = asked.instrument_id AND observed_at <= :moment AND observed_at > :oldest
   ORDER BY observed_at DESC LIMIT 1)
  UNION ALL
  (SELECT close, opened_at + interval '1 minute', NULL, NULL, '1m', opened_at, 1
   FROM candles
   WHERE instrument_id = asked.instrument_id AND resolution = '1m'
     AND opened_at <= CAST(:moment AS timestamptz) - interval '1 minute'
     AND opened_at > CAST(:oldest AS timestamptz) - interval '1 minute'
   ORDER BY opened_at DESC LIMIT 1)
  UNION ALL
  (SELECT close, opened_at + interval '1 hour', NULL, NULL, '1h', opened_at, 2
   FROM candles
   WHERE instrument_id = asked.instrument_id AND resolution = '1h'
     AND opened_at <= CAST(:moment AS timestamptz) - interval '1 hour'
     AND opened_at > CAST(:oldest AS timestamptz) - interval '1 hour'
   ORDER BY opened_at DESC LIMIT 1)
  UNION ALL
  (SELECT close, opened_at + interval '1 day', NULL, NULL, '1d', opened_at, 3
   FROM candles
   WHERE instrument_id = asked.instrument_id AND resolution = '1d'
     AND opened_at <= CAST(:moment AS timestamptz) - interval '1 day'
     AND opened_at > CAST(:oldest AS timestamptz) - interval '1 day'
   ORDER BY opened_at DESC LIMIT 1)
  ORDER BY since DESC, coarseness LIMIT 1
) told;
