"""Requests and responses: what callers send, what the API returns, and messages about invalid input."""
