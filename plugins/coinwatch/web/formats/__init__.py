"""Responses as JSON, CSV, Parquet or text, by the Accept header."""
