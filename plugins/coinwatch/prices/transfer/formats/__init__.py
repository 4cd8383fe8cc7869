"""File formats: one module per format, and what they share.

``detection`` finds the format of a CSV file and returns a CandleFile, whose rows have not been validated yet;
``parquet`` is the format that the export writes and the import reads.
"""
