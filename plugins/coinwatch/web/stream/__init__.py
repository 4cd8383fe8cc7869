"""Prices, alerts and the state of exchanges as server-sent events: one reader per process for any number of clients."""
