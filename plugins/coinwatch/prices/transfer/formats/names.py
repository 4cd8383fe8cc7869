"""Names of what can be imported and exported; apart, so that the command line knows them without loading Arrow."""

from typing import Literal, get_args

Format = Literal["auto", "binance", "cryptodatadownload", "candles", "parquet"]
Table = Literal["prices", "candles_1m", "candles_1h", "candles_1d"]
TABLES: tuple[Table, ...] = get_args(Table)
