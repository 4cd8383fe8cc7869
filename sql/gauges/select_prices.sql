-- The newest price of everything watched.
SELECT exchange, base, quote, price, volume_24h, bid, ask, observed_at FROM latest_prices;
