"""Filling the past: planning, running, rate limiting, gaps, repair."""
