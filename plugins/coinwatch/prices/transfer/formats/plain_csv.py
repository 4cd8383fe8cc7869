"""Plain CSV candles: a header with a time, open, high, low, close, and optionally volumes and trades."""

from collections.abc import Iterator, Sequence

from coinwatch.prices.transfer.formats.csv_candles import check_time_zone, read_candles
from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.csv_header import find_header, skip_header
from coinwatch.prices.transfer.formats.rows import CandleFile

NAME = "candles"
DESCRIPTION = "CSV with the header timestamp,open,high,low,close[,volume][,quote_volume][,trades]"


def matches(names: Sequence[str], head: Sequence[Sequence[str]]) -> bool:
    """Whether there is a header with a time and prices among the first rows."""
    header = find_header(head)
    return header is not None and bool(header.times)


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles; the file does not contain the instrument."""
    header = find_header(head)
    if header is None:
        raise ValueError("the file does not match this format")
    check_time_zone(head)
    return CandleFile(DESCRIPTION, None, None, None, read_candles(skip_header(rows), header, None))
