"""Binance's public kline dumps, from data.binance.vision: a ZIP with one CSV, usually without a header.

Source: the README of github.com/binance/binance-public-data. Times are in milliseconds; in spot files since 2025-01-01,
in microseconds. Dumps of futures have the same columns and names, with a header.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.rows import (
    BadRow,
    CandleFile,
    RawCandle,
    first_match,
    parse_count,
    parse_resolution_name,
    parse_unix_time,
)

NAME = "binance"
DESCRIPTION = "Binance's kline dumps (BTCUSDT-1m-2022-01.zip, 12 columns)"
FILE_NAME = re.compile(r"([A-Z0-9]+)-(\d+[a-z]+)-\d{4}(?:-\d{2}){0,2}\.(?:zip|csv)", re.IGNORECASE)
COLUMNS = 11  # the twelfth, "ignore", is missing in some files
VOLUME, CLOSE_TIME, TRADES = 5, 6, 8


# 1640995200000,46216.93000000,46271.08000000,46208.37000000,46250.00000000,40.57574000,1640995259999,
# 1875901.22590710,982,20.86797000,964821.57090210,0
def matches(head: Sequence[Sequence[str]]) -> bool:
    """Whether the first rows are in Binance's format."""
    first = head[0]
    if len(first) < COLUMNS:
        return False
    if re.sub(r"[ _]", "", first[0].lower()) == "opentime":
        return True
    with suppress(ValueError):
        return parse_unix_time(first[0]) < parse_unix_time(first[CLOSE_TIME])
    return False


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles, with the symbol and resolution from its name.

    Raises InvalidRequest for a resolution that is not stored.
    """
    named = first_match(FILE_NAME, names)
    return CandleFile(
        DESCRIPTION,
        "binance" if named else None,
        named[1].upper() if named else None,
        parse_resolution_name(named[2], named[0]) if named else None,
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
            opened_at = parse_unix_time(fields[0])
        except ValueError:
            yield BadRow(line, "has no valid time", fields[0])
            continue
        yield RawCandle(line, opened_at, fields[1:5], fields[VOLUME], parse_count(fields[TRADES]))
