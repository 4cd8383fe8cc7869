-- The failures and trading halts of every exchange.
SELECT e.exchange AS code, e.enabled, e.failures,
       (SELECT count(*) FROM trading_halts h JOIN watched_instruments w ON w.instrument_id = h.instrument_id
        WHERE w.exchange = e.exchange) AS not_trading
FROM exchange_health e
ORDER BY e.exchange;
