"""CryptoDataDownload's CSV files: a line with the website's address, a header, and rows from newest to oldest.

Source: the files of www.cryptodatadownload.com. Times in ``unix`` are in seconds or milliseconds, sometimes both in one
file; the oldest files only have ``Date``, such as 2019-10-17 09-AM. Of the two volumes, the one in the base currency is
read.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from coinwatch.prices.instrument_lookup import plain_symbol
from coinwatch.prices.transfer.formats.csv_file import Row
from coinwatch.prices.transfer.formats.csv_header import Header, find_header, parse_header, skip_header
from coinwatch.prices.transfer.formats.rows import (
    BadRow,
    CandleFile,
    RawCandle,
    first_match,
    parse_count,
    parse_resolution_name,
    parse_time,
    parse_unix_time,
)

NAME = "cryptodatadownload"
DESCRIPTION = "CryptoDataDownload's files (Binance_BTCUSDT_1h.csv)"
FILE_NAME = re.compile(r"([A-Za-z]+)_([A-Za-z0-9]+)_(?:\d{4}_)?([A-Za-z0-9]+)\.(?:csv|zip)")
HOUR = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}-[AP]M")
UNIX_NAMES = ("unix", "unix timestamp", "timestamp")


# https://www.CryptoDataDownload.com
# unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount
# 1646092800000,2022-03-01 00:00:00,BTC/USDT,43160.00,43230.40,43001.00,43100.00,1044.12,45032113.22,31022
def matches(head: Sequence[Sequence[str]]) -> bool:
    """Whether the first rows are in CryptoDataDownload's format."""
    header = find_header(head)
    return header is not None and "symbol" in header.names and header.find(*UNIX_NAMES, "date") is not None


def read(names: Sequence[str], head: Sequence[Sequence[str]], rows: Iterator[Row]) -> CandleFile:
    """The file's candles, with the exchange and resolution from its name and the symbol from its first row."""
    header = find_header(head)
    if header is None:
        raise ValueError("the file does not match this format")
    first = next(
        (fields for fields in reversed(head) if not parse_header(fields) and len(fields) == len(header.names)), None
    )
    named = first_match(FILE_NAME, names)
    symbol = first[header.names.index("symbol")] if first else None
    return CandleFile(
        DESCRIPTION,
        named[1].lower() if named else None,
        symbol,
        parse_resolution_name(named[3], named[0]) if named else None,
        _candles(skip_header(rows), header, plain_symbol(symbol or "")),
    )


def _candles(rows: Iterator[Row], header: Header, symbol: str) -> Iterator[RawCandle | BadRow]:
    unix, date, symbols = header.find(*UNIX_NAMES), header.find("date"), header.names.index("symbol")
    volume, trades = _base_volume(header, symbol), header.find("tradecount", "trade count")
    opening, high, low, close = header.prices
    for line, fields in rows:
        if len(fields) != len(header.names):
            yield BadRow(line, "does not have as many columns as the header", ",".join(fields))
            continue
        if plain_symbol(fields[symbols]) != symbol:
            yield BadRow(line, "is for another symbol", fields[symbols])
            continue
        try:
            opened_at = parse_unix_time(fields[unix]) if unix is not None else _date(fields[date or 0])
        except ValueError:
            yield BadRow(line, "has no valid time", fields[unix if unix is not None else date or 0])
            continue
        yield RawCandle(
            line,
            opened_at,
            (fields[opening], fields[high], fields[low], fields[close]),
            fields[volume] if volume is not None else None,
            parse_count(fields[trades]) if trades is not None else None,
        )


def _base_volume(header: Header, symbol: str) -> int | None:
    """The column with the volume in the base currency: BTC for BTCUSDT, and USDT rather than USD for USDTUSD."""
    currencies = {
        name.removeprefix("volume").strip().upper(): name for name in header.names if name.startswith("volume")
    }
    base = max((currency for currency in currencies if symbol.startswith(currency)), key=len, default=None)
    return None if base is None else header.names.index(currencies[base])


def _date(text: str) -> datetime:
    if HOUR.fullmatch(text.strip()):
        return datetime.strptime(text.strip(), "%Y-%m-%d %I-%p").replace(tzinfo=UTC)
    return parse_time(text)
