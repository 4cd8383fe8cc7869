"""The Grafana dashboard of coinwatch as code."""
