"""Runs the real cycle in its own process, injects a fault at a chosen point, and checks which alerts were emailed."""
