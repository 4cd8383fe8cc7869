"""What Grafana shows of coinwatch, written down as code."""
