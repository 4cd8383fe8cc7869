"""CryptoDataDownload's CSV files: a line with the website's address, a header, and rows from newest to oldest.

Source: the files of www.cryptodatadownload.com. Times in ``unix`` are in seconds or milliseconds, sometimes both in one
file; the oldest files only have ``Date``, such as 2019-10-17 09-AM, and no ``symbol``. Labels of the two volumes are
wrong in some files and in older rows of others, which the candle validation repairs.
"""

import re
from collections.abc import Iterator, Sequence

from coinwatch.prices.transfer.formats.csv_candles import check_time_zone, read_candles
from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.csv_header import find_header, parse_header, skip_header
from coinwatch.prices.transfer.formats.rows import RESOLUTION_ALIASES, CandleFile, first_match, parse_resolution_name

NAME = "cryptodatadownload"
DESCRIPTION = "CryptoDataDownload's files (Binance_BTCUSDT_1h.csv)"
FILE_NAME = re.compile(r"([A-Za-z]+)_([A-Za-z0-9]+)_(?:\d{4}_)?([A-Za-z0-9]+)\.(?:csv|zip|csv\.gz)")


# https://www.CryptoDataDownload.com
# unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount
# 1646092800000,2022-03-01 00:00:00,BTC/USDT,43160.00,43230.40,43001.00,43100.00,1044.12,45032113.22,31022
def matches(names: Sequence[str], head: Sequence[Sequence[str]]) -> bool:
    """Whether the first rows are in CryptoDataDownload's format."""
    header = find_header(head)
    if header is None or not header.times:
        return False
    named = first_match(FILE_NAME, names)
    return header.symbol is not None or (named is not None and named[3].lower() in RESOLUTION_ALIASES)


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles, with the exchange and resolution from its name, and the symbol from its first row or name."""
    header = find_header(head)
    if header is None:
        raise ValueError("the file does not match this format")
    check_time_zone(head)
    first = next((fields for fields in head if not parse_header(fields) and len(fields) >= len(header.names)), None)
    named = first_match(FILE_NAME, names)
    in_rows = first[header.symbol] if first and header.symbol is not None else None
    symbol = in_rows or (named[2] if named and header.symbol is None else None)
    return CandleFile(
        DESCRIPTION,
        named[1].lower() if named else None,
        symbol,
        parse_resolution_name(named[3], named[0]) if named else None,
        read_candles(skip_header(rows), header, symbol),
        is_guess=header.symbol is None,
        is_label=True,
    )
