"""The rows of any CSV file with a header, as candles."""

import re
from collections.abc import Iterator, Sequence

from coinwatch.errors import InvalidRequest
from coinwatch.exchanges.models import RawCandle
from coinwatch.prices.instrument_lookup import plain_symbol
from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.csv_header import Header
from coinwatch.prices.transfer.formats.rows import BadRow, parse_count
from coinwatch.prices.transfer.formats.times import parse_first_time, parse_unix_time

TIME_ZONE = re.compile(r"timestamps are (?:in )?(\S+)", re.IGNORECASE)


def check_time_zone(head: Sequence[Sequence[str]]) -> None:
    """Raises InvalidRequest if the line above the header says that times are not in UTC."""
    for fields in head:
        stated = TIME_ZONE.match(fields[0].strip())
        if stated and stated[1].upper() not in {"UTC", "GMT", "UNIX"}:
            raise InvalidRequest(
                "file",
                f"The file's times are in {stated[1]}. Convert them to UTC, or write their offset (09:00+01:00).",
            )


def read_candles(rows: Iterator[Row], header: Header, symbol: str | None) -> Iterator[RawCandle | BadRow]:
    """The candles below the header. Rows of another symbol are bad; repeated headers are skipped.

    Without a ``symbol`` column, ``symbol`` is used only to tell base from quote volume.
    """
    symbol = plain_symbol(symbol or "")
    base, quote = header.volumes(symbol)
    opening, high, low, close = header.prices
    times, trades, symbols, columns = header.times, header.trades, header.symbol, len(header.names)
    for line, fields in rows:
        if len(fields) != columns and not _fit(fields, columns):
            yield BadRow(line, "does not have as many columns as the header", ",".join(fields))
            continue
        if symbols is not None and plain_symbol(fields[symbols]) != symbol:
            if fields[opening].strip().casefold() != header.names[opening]:  # otherwise, the header again
                yield BadRow(line, "is for another symbol", fields[symbols])
            continue
        try:
            try:
                opened_at = parse_unix_time(fields[times[0]])
            except ValueError:
                opened_at = parse_first_time([fields[place] for place in times])
        except ValueError:
            if fields[opening].strip().casefold() != header.names[opening]:
                yield BadRow(line, "has no valid time", fields[times[0]])
            continue
        yield RawCandle(
            opened_at,
            fields[opening],
            fields[high],
            fields[low],
            fields[close],
            fields[base] if base is not None else None,
            parse_count(fields[trades]) if trades is not None else None,
            fields[quote] if quote is not None else None,
            line,
        )


def _fit(fields: Sequence[str], columns: int) -> bool:
    """Whether a row only has empty fields more than the header, as after a delimiter at its end."""
    return len(fields) > columns and not any(field.strip() for field in fields[columns:])
