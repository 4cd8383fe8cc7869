"""Binance's public kline dumps, from data.binance.vision: a ZIP with one CSV, usually without a header.

Source: the README of github.com/binance/binance-public-data. Times are in milliseconds, since 2025-01-01 those of
spot files in microseconds. The futures' dumps have the same columns and names, and a header.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.rows import (
    BadRow,
    CandleFile,
    RawCandle,
    count,
    first_match,
    resolution_named,
    unix_moment,
)

NAME = "binance"
DESCRIPTION = "Binance's kline dumps (BTCUSDT-1m-2022-01.zip, 12 columns)"
FILE_NAME = re.compile(r"([A-Z0-9]+)-(\d+[a-z]+)-\d{4}(?:-\d{2}){0,2}\.(?:zip|csv)", re.IGNORECASE)
COLUMNS = 11  # the twelfth is called "ignore", and some tools do
VOLUME, CLOSE_TIME, TRADES = 5, 6, 8


# 1640995200000,46216.93000000,46271.08000000,46208.37000000,46250.00000000,40.57574000,1640995259999,
# 1875901.22590710,982,20.86797000,964821.57090210,0
def matches(head: Sequence[Sequence[str]]) -> bool:
    """Whether the first rows look like Binance's."""
    first = head[0]
    if len(first) < COLUMNS:
        return False
    if re.sub(r"[ _]", "", first[0].lower()) == "opentime":
        return True
    with suppress(ValueError):
        return unix_moment(first[0]) < unix_moment(first[CLOSE_TIME])
    return False


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles; symbol and resolution from its name. InvalidRequest for a resolution we do not keep."""
    named = first_match(FILE_NAME, names)
    return CandleFile(
        DESCRIPTION,
        "binance" if named else None,
        named[1].upper() if named else None,
        resolution_named(named[2], named[0]) if named else None,
        _candles(rows),
    )


def _candles(rows: Iterator[Row]) -> Iterator[RawCandle | BadRow]:
    for line, fields in rows:
        if line == 1 and not fields[0][:1].isdigit():
            continue  # the header
        if len(fields) < COLUMNS:
            yield BadRow(line, "has too few columns", ",".join(fields))
            continue
        try:
            opened_at = unix_moment(fields[0])
        except ValueError:
            yield BadRow(line, "has no readable time", fields[0])
            continue
        yield RawCandle(line, opened_at, fields[1:5], fields[VOLUME], count(fields[TRADES]))
