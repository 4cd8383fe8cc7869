-- Every quote beyond its instrument's watermark, which only instruments with a subscription have.
INSERT INTO judged_quotes (instrument_id, observed_at, price, previous_price, previous_at)
SELECT m.instrument_id, q.observed_at, q.price, previous.price, previous.observed_at
FROM match_watermarks m
CROSS JOIN LATERAL (
  SELECT observed_at, price FROM prices
  WHERE prices.instrument_id = m.instrument_id AND prices.observed_at > m.judged_to
) q
LEFT JOIN LATERAL (
  SELECT observed_at, price FROM prices
  WHERE prices.instrument_id = m.instrument_id AND prices.observed_at < q.observed_at
  ORDER BY observed_at DESC LIMIT 1
) previous ON true;
