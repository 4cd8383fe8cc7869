"""CSV files whose header says what stands where: columns by name, whatever their order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Header:
    """Where the columns are; None for those that are missing. The prices are always there."""

    prices: tuple[int, int, int, int]
    names: tuple[str, ...]

    def find(self, *names: str) -> int | None:
        """The column with the first of these names that there is."""
        return next((self.names.index(name) for name in names if name in self.names), None)


def header_of(fields: Sequence[str]) -> Header | None:
    """The header in a row; None if it is no header of candles."""
    names = tuple(field.strip().lower() for field in fields)
    if any(names.count(price) != 1 for price in PRICES):
        return None
    opening, high, low, close = (names.index(price) for price in PRICES)
    return Header((opening, high, low, close), names)


def header_among(head: Sequence[Sequence[str]]) -> Header | None:
    """The first header in the first rows of a file."""
    return next((header for header in map(header_of, head) if header), None)


def after_header(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows below the header."""
    for _, fields in rows:
        if header_of(fields):
            break
    yield from rows
