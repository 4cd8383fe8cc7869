-- The last price of each instrument at or before :moment and after :oldest. Candidates are its last observed price and the
-- close of its last complete candle of each resolution. A candle from the exchange counts from the time it ends. One that was
-- computed from quotes or finer candles counts from the time it began: its close may have been observed at any time within
-- it, so the quote or finer candle itself is preferred. The newest candidate wins, and :oldest applies to the same time;
-- otherwise, a wider range could return an older price.
SELECT requested.instrument_id, latest.price, latest.observed_at, latest.bid, latest.ask, latest.kind
FROM unnest(CAST(:instrument_ids AS integer[])) AS requested (instrument_id)
CROSS JOIN LATERAL (
  SELECT * FROM (
    (SELECT price, observed_at, bid, ask, 'prices' AS kind, 0 AS precedence
     FROM prices
     WHERE instrument_id = requested.instrument_id AND observed_at <= :moment AND observed_at > :oldest
     ORDER BY observed_at DESC LIMIT 1)
    UNION ALL
    (SELECT close, CASE source WHEN 'exchange' THEN opened_at + interval '1 minute' ELSE opened_at END, NULL, NULL, '1m', 1
     FROM candles
     WHERE instrument_id = requested.instrument_id AND resolution = '1m'
       AND opened_at <= CAST(:moment AS timestamptz) - interval '1 minute'
       AND opened_at > CAST(:oldest AS timestamptz) - interval '1 minute'
     ORDER BY opened_at DESC LIMIT 1)
    UNION ALL
    (SELECT close, CASE source WHEN 'exchange' THEN opened_at + interval '1 hour' ELSE opened_at END, NULL, NULL, '1h', 2
     FROM candles
     WHERE instrument_id = requested.instrument_id AND resolution = '1h'
       AND opened_at <= CAST(:moment AS timestamptz) - interval '1 hour'
       AND opened_at > CAST(:oldest AS timestamptz) - interval '1 hour'
     ORDER BY opened_at DESC LIMIT 1)
    UNION ALL
    (SELECT close, CASE source WHEN 'exchange' THEN opened_at + interval '1 day' ELSE opened_at END, NULL, NULL, '1d', 3
     FROM candles
     WHERE instrument_id = requested.instrument_id AND resolution = '1d'
       AND opened_at <= CAST(:moment AS timestamptz) - interval '1 day'
       AND opened_at > CAST(:oldest AS timestamptz) - interval '1 day'
     ORDER BY opened_at DESC LIMIT 1)
  ) candidates
  WHERE observed_at > :oldest
  ORDER BY observed_at DESC, precedence LIMIT 1
) latest;
