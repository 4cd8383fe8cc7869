-- The last price of each instrument at or before :moment and after :oldest: of its last observed price and the closes of its
-- last complete candles of each resolution, the one that began last. An observed price is preferred to its own candle.
SELECT requested.instrument_id, latest.price, latest.observed_at, latest.bid, latest.ask, latest.kind
FROM unnest(CAST(:instrument_ids AS integer[])) AS requested (instrument_id)
CROSS JOIN LATERAL (
  (SELECT price, observed_at, bid, ask, 'prices' AS kind, observed_at AS since, 0 AS precedence
   FROM prices
   WHERE instrument_id = requested.instrument_id AND observed_at <= :moment AND observed_at > :oldest
   ORDER BY observed_at DESC LIMIT 1)
  UNION ALL
  (SELECT close, opened_at + interval '1 minute', NULL, NULL, '1m', opened_at, 1
   FROM candles
   WHERE instrument_id = requested.instrument_id AND resolution = '1m'
     AND opened_at <= CAST(:moment AS timestamptz) - interval '1 minute'
     AND opened_at > CAST(:oldest AS timestamptz) - interval '1 minute'
   ORDER BY opened_at DESC LIMIT 1)
  UNION ALL
  (SELECT close, opened_at + interval '1 hour', NULL, NULL, '1h', opened_at, 2
   FROM candles
   WHERE instrument_id = requested.instrument_id AND resolution = '1h'
     AND opened_at <= CAST(:moment AS timestamptz) - interval '1 hour'
     AND opened_at > CAST(:oldest AS timestamptz) - interval '1 hour'
   ORDER BY opened_at DESC LIMIT 1)
  UNION ALL
  (SELECT close, opened_at + interval '1 day', NULL, NULL, '1d', opened_at, 3
   FROM candles
   WHERE instrument_id = requested.instrument_id AND resolution = '1d'
     AND opened_at <= CAST(:moment AS timestamptz) - interval '1 day'
     AND opened_at > CAST(:oldest AS timestamptz) - interval '1 day'
   ORDER BY opened_at DESC LIMIT 1)
  ORDER BY since DESC, precedence LIMIT 1
) latest;
