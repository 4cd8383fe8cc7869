-- The latest price of every watched instrument.
SELECT exchange, base, quote, price, volume_24h, bid, ask, observed_at FROM latest_prices;
