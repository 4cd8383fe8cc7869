"""Binance's public kline dumps, from data.binance.vision: a ZIP with one CSV, usually without a header.

Source: the README of github.com/binance/binance-public-data. Times are in milliseconds; in spot files since 2025-01-01,
in microseconds. Dumps of futures have the same columns and names, but milliseconds in all years, and a header.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from coinwatch.exchanges.models import RawCandle
from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.rows import BadRow, CandleFile, first_match, parse_count, parse_resolution_name
from coinwatch.prices.transfer.formats.times import parse_unix_time

NAME = "binance"
DESCRIPTION = "Binance's kline dumps (BTCUSDT-1m-2022-01.zip, 12 columns)"
FILE_NAME = re.compile(r"(\w+)-(\d+[a-z]+)-\d{4}(?:-\d{1,2}){0,2}\.(?:zip|csv|csv\.gz)", re.IGNORECASE)
COLUMNS = 11  # the twelfth, "ignore", is missing in some files
VOLUME, CLOSE_TIME, QUOTE_VOLUME, TRADES = 5, 6, 7, 8
HEADERS = {"opentime", "open time"}
MICROSECONDS_SINCE = datetime(2025, 1, 1, tzinfo=UTC)


# 1640995200000,46216.93000000,46271.08000000,46208.37000000,46250.00000000,40.57574000,1640995259999,
# 1875901.22590710,982,20.86797000,964821.57090210,0
def matches(names: Sequence[str], head: Sequence[Sequence[str]]) -> bool:
    """Whether the first rows are in Binance's format."""
    first = head[0]
    if len(first) < COLUMNS:
        return False
    if _is_header(first):
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
        futures=_why_futures(head, is_named=named is not None),
    )


def _why_futures(head: Sequence[Sequence[str]], *, is_named: bool) -> str | None:
    """What shows that a file is of Binance's futures; None if nothing does."""
    has_header = _is_header(head[0])
    time = next((fields[0].strip() for fields in head if fields[0][:1].isdigit()), "")
    if len(time) != len("1735689600000"):
        return None
    if has_header and "taker_buy_volume" in head[0]:
        return "it has the header of futures and times in milliseconds"
    if (has_header or is_named) and parse_unix_time(time) >= MICROSECONDS_SINCE:
        return f"its times are in milliseconds, and those of spot in microseconds since {MICROSECONDS_SINCE:%Y}"
    return None


def _is_header(fields: Sequence[str]) -> bool:
    return fields[0].strip().lower().replace("_", " ") in HEADERS


def _candles(rows: Iterator[Row]) -> Iterator[RawCandle | BadRow]:
    for line, fields in rows:
        if len(fields) < COLUMNS:
            yield BadRow(line, "has too few columns", ",".join(fields))
            continue
        try:
            opened_at = parse_unix_time(fields[0])
        except ValueError:
            if not _is_header(fields):
                yield BadRow(line, "has no valid time", fields[0])
            continue
        yield RawCandle(
            opened_at,
            fields[1],
            fields[2],
            fields[3],
            fields[4],
            fields[VOLUME],
            parse_count(fields[TRADES]),
            fields[QUOTE_VOLUME],
            line,
        )
