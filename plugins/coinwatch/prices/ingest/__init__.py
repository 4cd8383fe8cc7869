"""Quotes from the exchanges into Postgres: collection, loading, partitions, the index, data-quality checks."""
