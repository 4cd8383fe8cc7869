"""coinwatch: collects and stores crypto prices, shows them, and sends alerts."""

__version__ = "0.1.0"
