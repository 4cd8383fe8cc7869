"""The overview of all coins, for the start page and the stream."""
