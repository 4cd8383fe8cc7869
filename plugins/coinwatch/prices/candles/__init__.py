"""Candles (OHLCV): storage, the time grid, reads at any resolution."""
