-- The newest price of every watched instrument, with the divisor of an index. Coins are in configured order; the first row of
-- a coin is its main market: the index, or else a real exchange before an aggregator or a simulated one, in US dollars, or
-- else a stablecoin. :coin, a code or name, limits the rows to one coin.
SELECT l.instrument_id, w.exchange, w.exchange_name, w.base, w.coin_name, w.quote, l.price, coalesce(l.divisors[1], 1) AS divisor,
       l.volume_24h, l.bid, l.ask, l.observed_at, l.received_at, w.simulated, w.aggregator
FROM watched_instruments w
JOIN latest_quotes l ON l.instrument_id = w.instrument_id
JOIN coins c ON c.code = w.base
WHERE CAST(:coin AS text) IS NULL OR lower(:coin) IN (lower(w.base), lower(w.coin_name))
ORDER BY c.position, w.exchange <> 'index', w.simulated, w.aggregator, array_position(ARRAY['USD', 'USDT', 'USDC'], w.quote),
         w.exchange, w.quote;
