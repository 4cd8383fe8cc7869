"""coinwatch: fetch crypto prices, keep them, show them, and tell people when they move."""

__version__ = "0.1.0"
