-- When the first stored price of the instrument was observed, null if there is none; no row if it has no minute candles before
-- it. Prices of days that were dropped are in minute candles.
SELECT p.observed_at
FROM (SELECT (SELECT observed_at FROM prices WHERE instrument_id = :instrument_id ORDER BY observed_at LIMIT 1) AS observed_at) p
WHERE EXISTS (
  SELECT FROM candles
  WHERE instrument_id = :instrument_id AND resolution = '1m'
    AND opened_at < coalesce(p.observed_at - interval '1 minute', 'infinity')
);
