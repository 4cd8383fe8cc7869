"""Past candles from the exchanges: planning, fetching, rate limiting, gaps and their repair."""
