"""Files of candles and prices: one module per format, and what the formats have in common.

``recognize`` finds the format and hands out a CandleFile, whose rows have not passed the gate yet; ``lake`` is our
own Parquet, which the export writes and the import reads; ``places`` opens files here and in the clouds.
"""
