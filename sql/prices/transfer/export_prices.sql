-- One exchange's prices observed in [start, end), in a fixed order, read by instrument through the primary key.
SELECT i.base, i.quote, p.observed_at, p.price, p.volume_24h, p.bid, p.ask, p.received_at
FROM exchanges e
JOIN instruments i ON i.exchange_id = e.id
CROSS JOIN LATERAL (
  SELECT observed_at, price, volume_24h, bid, ask, received_at
  FROM prices
  WHERE prices.instrument_id = i.id AND observed_at >= CAST(:start AS timestamptz) AND observed_at < CAST(:end AS timestamptz)
  OFFSET 0
) p
WHERE e.code = :exchange
ORDER BY i.base COLLATE "C", i.quote COLLATE "C", p.observed_at;
