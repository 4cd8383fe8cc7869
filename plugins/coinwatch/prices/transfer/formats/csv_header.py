"""CSV headers: finding columns by name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Header:
    """The positions of the open, high, low and close columns, and all column names in lowercase."""

    prices: tuple[int, int, int, int]
    names: tuple[str, ...]

    def find(self, *names: str) -> int | None:
        """The position of the first of these names that exists; None if there is none."""
        return next((self.names.index(name) for name in names if name in self.names), None)


def parse_header(fields: Sequence[str]) -> Header | None:
    """The header in a row; None if the row is not a header of candles."""
    names = tuple(field.strip().lower() for field in fields)
    if any(names.count(price) != 1 for price in PRICES):
        return None
    opening, high, low, close = (names.index(price) for price in PRICES)
    return Header((opening, high, low, close), names)


def find_header(head: Sequence[Sequence[str]]) -> Header | None:
    """The first header among the first rows of a file."""
    return next((header for header in map(parse_header, head) if header), None)


def skip_header(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows after the header."""
    for _, fields in rows:
        if parse_header(fields):
            break
    yield from rows
