CREATE TABLE history_backfills (
  instrument_id integer CONSTRAINT history_backfills_pkey PRIMARY KEY REFERENCES instruments,
  started_at timestamptz NOT NULL,
  completed_days integer,
  failed_at timestamptz,
  error text
);
COMMENT ON TABLE history_backfills IS 'Instruments whose past candles are fetched when they are first watched, see candle_fetches.';
COMMENT ON COLUMN history_backfills.completed_days IS 'How many days of history were requested, all of which the exchange has answered; null until then.';
COMMENT ON COLUMN history_backfills.error IS 'Why it could not be fetched at failed_at; null if it could.';

-- The candles of the index have a volume, the sum of the exchanges', which must not be counted again.
CREATE OR REPLACE VIEW daily_ohlcv AS
SELECT DISTINCT ON (i.base, d.day) i.base AS symbol, d.day, c.open, c.high, c.low, c.close,
       coalesce(sum(c.volume) FILTER (WHERE NOT e.simulated AND NOT e.aggregator AND e.code <> 'index') OVER everywhere,
                sum(c.volume) FILTER (WHERE e.simulated) OVER everywhere) AS volume
FROM candles c
JOIN instruments i ON i.id = c.instrument_id
JOIN exchanges e ON e.id = i.exchange_id
CROSS JOIN LATERAL (SELECT (c.opened_at AT TIME ZONE 'UTC')::date AS day) d
WHERE c.resolution = '1d' AND i.quote IN ('USD', 'USDT', 'USDC')
WINDOW everywhere AS (PARTITION BY i.base, d.day, i.quote ORDER BY i.id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
ORDER BY i.base, d.day, array_position(ARRAY['USD', 'USDT', 'USDC'], i.quote), e.code <> 'index', e.simulated,
         c.volume DESC NULLS LAST, e.code;
