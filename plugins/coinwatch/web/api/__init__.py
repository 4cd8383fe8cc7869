"""The REST API, one module per resource. Times are UTC (ISO 8601), percentages are percent, prices are in the quote
currency."""
