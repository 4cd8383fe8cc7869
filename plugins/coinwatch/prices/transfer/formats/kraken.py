"""CSV without a header, above all Kraken's OHLCVT archive: files such as XBTUSD_60.csv, with the minutes in their name.

Source: Kraken's support page "Downloadable historical OHLCVT data". Intervals without trades are missing. Scripts that
save ccxt's candles write the same columns without the number of trades.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from coinwatch.exchanges.models import RawCandle
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, Resolution, width_seconds
from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.rows import (
    BadRow,
    CandleFile,
    first_match,
    parse_count,
    parse_resolution_name,
)
from coinwatch.prices.transfer.formats.times import parse_unix_time

NAME = "kraken"
DESCRIPTION = "Kraken's OHLCVT files (XBTUSD_60.csv, no header)"
FILE_NAME = re.compile(r"([A-Z0-9.]+)_(\d+)\.(?:csv|csv\.gz|zip)")
COLUMNS = (6, 7)
RESOLUTIONS: dict[str, Resolution] = {str(width_seconds(each) // 60): each for each in STORED_RESOLUTIONS}


# 1381095255,122.0,122.0,122.0,122.0,0.1,1
def matches(names: Sequence[str], head: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is a time and numbers."""
    if len(head[0]) not in COLUMNS:
        return False
    with suppress(ValueError):
        parse_unix_time(head[0][0])
        return all(float(field) >= 0 for field in head[0][1:])
    return False


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles, with the symbol and resolution from its name.

    Raises InvalidRequest for a resolution that is not stored.
    """
    named = first_match(FILE_NAME, names)
    return CandleFile(
        DESCRIPTION,
        "kraken" if named else None,
        named[1] if named else None,
        (RESOLUTIONS.get(named[2]) or parse_resolution_name(f"{named[2]} minutes", named[0])) if named else None,
        _candles(rows),
    )


def is_archive_member(name: str) -> bool:
    """Whether a file in a ZIP archive is named like those in Kraken's."""
    return FILE_NAME.fullmatch(name.rpartition("/")[2]) is not None


def stored_symbol(name: str) -> str | None:
    """The symbol of a file in Kraken's archive; None if its resolution is not stored."""
    named = FILE_NAME.fullmatch(name.rpartition("/")[2])
    return named[1] if named and named[2] in RESOLUTIONS else None


def _candles(rows: Iterator[Row]) -> Iterator[RawCandle | BadRow]:
    for line, fields in rows:
        if len(fields) not in COLUMNS:
            yield BadRow(line, "does not have 6 or 7 columns", ",".join(fields))
            continue
        time, opening, high, low, close, volume, *trades = fields
        try:
            opened_at = parse_unix_time(time)
        except ValueError:
            yield BadRow(line, "has no valid time", time)
            continue
        yield RawCandle(
            opened_at, opening, high, low, close, volume, parse_count(trades[0]) if trades else None, None, line
        )
