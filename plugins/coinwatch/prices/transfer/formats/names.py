"""Names of the formats and tables, in a module of their own so that the CLI starts without importing Arrow."""

from typing import Literal, get_args

Format = Literal["auto", "binance", "cryptodatadownload", "kraken", "candles", "parquet"]
Table = Literal["prices", "candles_1m", "candles_1h", "candles_1d"]
TABLES: tuple[Table, ...] = get_args(Table)
