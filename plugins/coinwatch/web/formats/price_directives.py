"""Prices as lines that accounting programs read: hledger and Ledger (``P`` directives), and Beancount.

- https://hledger.org/hledger.html#p-directive
- https://beancount.github.io/docs/beancount_language_syntax.html#prices
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends

from coinwatch.web.formats.representations import FORMATS, Format, Output, offering, table_responses
from coinwatch.web.formats.tables import Table, number_text

TIME_COLUMNS = ("observed_at", "opened_at")
PRICE_COLUMNS = ("price", "close")
# Other codes need quotes in a journal.
PLAIN_COMMODITY = re.compile(r"[A-Za-z]+")
BEANCOUNT_COMMODITY = re.compile(r"[A-Z][A-Z0-9'._-]{0,22}[A-Z0-9]")


def to_journal(table: Table) -> bytes:
    """``P 2026-11-30 12:00:05 BTC 95591.67 USD`` for each row; times are UTC."""

    def line(moment: datetime, base: str, price: float, quote: str) -> str:
        return f"P {moment:%Y-%m-%d %H:%M:%S} {_commodity(base)} {number_text(price)} {_commodity(quote)}"

    return _write(table, line)


def to_beancount(table: Table) -> bytes:
    """``2026-11-30 price BTC 95591.67 USD`` for each row; the date is the UTC day.

    Beancount has no way to write some codes, such as 1INCH; their rows are comments.
    """

    def line(moment: datetime, base: str, price: float, quote: str) -> str:
        directive = f"{moment:%Y-%m-%d} price {base} {number_text(price)} {quote}"
        known = all(BEANCOUNT_COMMODITY.fullmatch(code) for code in (base, quote))
        return directive if known else f"; not a Beancount currency: {directive}"

    return _write(table, line)


def _write(table: Table, line: Callable[[datetime, str, float, str], str]) -> bytes:
    return "".join(f"{line(*row)}\n" for row in _prices(table)).encode()


def _prices(table: Table) -> Iterator[tuple[datetime, str, float, str]]:
    """Time (UTC), base, price and quote of each row."""
    columns = list(table.columns)
    moment, price = (
        columns.index(next(name for name in names if name in columns)) for names in (TIME_COLUMNS, PRICE_COLUMNS)
    )
    base, quote = columns.index("base"), columns.index("quote")
    for row in table.rows:
        yield row[moment].astimezone(UTC), row[base], row[price], row[quote]


def _commodity(code: str) -> str:
    return code if PLAIN_COMMODITY.fullmatch(code) else f'"{code}"'


JOURNAL = Format("journal", "text/plain", to_journal, "; charset=utf-8")
BEANCOUNT = Format("beancount", "text/x-beancount", to_beancount, "; charset=utf-8")
PRICE_FORMATS = (*FORMATS, JOURNAL, BEANCOUNT)
PriceOutputDep = Annotated[Output, Depends(offering(*PRICE_FORMATS))]
AS_PRICES = table_responses(*PRICE_FORMATS)
