"""Candles as anybody writes them: a header with a time, open, high, low, close, and perhaps volume and trades."""

from collections.abc import Iterator, Sequence

from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.csv_header import Header, after_header, header_among
from coinwatch.prices.transfer.formats.rows import BadRow, CandleFile, RawCandle, count, moment

NAME = "candles"
DESCRIPTION = "a CSV with the header timestamp,open,high,low,close[,volume][,trades]"
TIMES = ("opened_at", "timestamp", "time", "date", "datetime", "open_time", "unix")


def matches(head: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is a header of candles."""
    header = header_among(head[:1])
    return header is not None and header.find(*TIMES) is not None


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles; of which instrument they are it does not say."""
    header = header_among(head[:1])
    if header is None:
        raise ValueError("matches() is asked first")
    return CandleFile(DESCRIPTION, None, None, None, _candles(after_header(rows), header))


def _candles(rows: Iterator[Row], header: Header) -> Iterator[RawCandle | BadRow]:
    time = header.find(*TIMES) or 0
    volume, trades = header.find("volume"), header.find("trades", "tradecount", "count")
    opening, high, low, close = header.prices
    for line, fields in rows:
        if len(fields) != len(header.names):
            yield BadRow(line, "has not the header's number of columns", ",".join(fields))
            continue
        try:
            opened_at = moment(fields[time])
        except ValueError:
            yield BadRow(line, "has no readable time", fields[time])
            continue
        yield RawCandle(
            line,
            opened_at,
            (fields[opening], fields[high], fields[low], fields[close]),
            fields[volume] if volume is not None else None,
            count(fields[trades]) if trades is not None else None,
        )
