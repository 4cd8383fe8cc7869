-- The volume of a day counts what each real exchange traded, once: an aggregator's volume contains those of the exchanges.
-- Simulated volume counts only on days without another.
CREATE OR REPLACE VIEW daily_ohlcv AS
SELECT DISTINCT ON (i.base, d.day) i.base AS symbol, d.day, c.open, c.high, c.low, c.close,
       coalesce(sum(c.volume) FILTER (WHERE NOT e.simulated AND NOT e.aggregator) OVER everywhere,
                sum(c.volume) FILTER (WHERE e.simulated) OVER everywhere) AS volume
FROM candles c
JOIN instruments i ON i.id = c.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
CROSS JOIN LATERAL (SELECT (c.opened_at AT TIME ZONE 'UTC')::date AS day) d
WHERE c.resolution = '1d' AND i.quote IN ('USD', 'USDT', 'USDC')
WINDOW everywhere AS (PARTITION BY i.base, d.day, i.quote ORDER BY i.id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY i.base, d.day, array_position(ARRAY['USD', 'USDT', 'USDC'], i.quote), e.code <> 'index', e.simulated,
         c.volume DESC NULLS LAST, e.code;
