-- An index with only simulated prices is not a median of exchanges: its name says that these are demo prices.
CREATE OR REPLACE VIEW watched_instruments AS
SELECT i.id AS instrument_id, e.code AS exchange, i.base, i.quote, i.base || '/' || i.quote AS pair,
       CASE WHEN e.code = 'index' AND s.simulated THEN 'Index (demo prices)' ELSE e.name END AS exchange_name,
       c.name AS coin_name, i.symbol, s.simulated, e.aggregator
FROM instruments i
JOIN exchanges e ON e.id = i.exchange_id
JOIN coins c ON c.code = i.base
CROSS JOIN LATERAL (
  SELECT CASE WHEN e.code = 'index' THEN NOT EXISTS (
           SELECT FROM instruments o
           JOIN exchanges oe ON oe.id = o.exchange_id
           WHERE o.base = i.base AND o.enabled AND oe.enabled AND NOT oe.simulated AND oe.code <> 'index')
         ELSE e.simulated END AS simulated
) s
WHERE i.enabled AND e.enabled AND c.enabled;
