"""Plain CSV candles: a header with a time, open, high, low, close, and optionally volume and trades."""

from collections.abc import Iterator, Sequence

from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.csv_header import Header, find_header, skip_header
from coinwatch.prices.transfer.formats.rows import BadRow, CandleFile, RawCandle, parse_count, parse_time

NAME = "candles"
DESCRIPTION = "CSV with the header timestamp,open,high,low,close[,volume][,trades]"
TIMES = ("opened_at", "timestamp", "time", "date", "datetime", "open_time", "unix")


def matches(head: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is a header with a time and prices."""
    header = find_header(head[:1])
    return header is not None and header.find(*TIMES) is not None


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles; the file does not contain the instrument."""
    header = find_header(head[:1])
    if header is None:
        raise ValueError("the file does not match this format")
    return CandleFile(DESCRIPTION, None, None, None, _candles(skip_header(rows), header))


def _candles(rows: Iterator[Row], header: Header) -> Iterator[RawCandle | BadRow]:
    time = header.find(*TIMES) or 0
    volume, trades = header.find("volume"), header.find("trades", "tradecount", "count")
    opening, high, low, close = header.prices
    for line, fields in rows:
        if len(fields) != len(header.names):
            yield BadRow(line, "does not have as many columns as the header", ",".join(fields))
            continue
        try:
            opened_at = parse_time(fields[time])
        except ValueError:
            yield BadRow(line, "has no valid time", fields[time])
            continue
        yield RawCandle(
            line,
            opened_at,
            (fields[opening], fields[high], fields[low], fields[close]),
            fields[volume] if volume is not None else None,
            parse_count(fields[trades]) if trades is not None else None,
        )
