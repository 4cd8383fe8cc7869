"""Searching and sorting the overview without JavaScript; ``static/scripts/overview/table.js`` does the same."""

from collections.abc import Callable, Mapping, Sequence

from coinwatch.web.overview.rows import CoinRow

Key = Callable[[CoinRow], float | str | None]
# By name in links. Numbers start with the highest, names with the first, ages with the newest.
COLUMNS: Mapping[str, Key] = {
    "name": lambda row: row.name.casefold(),
    "price": lambda row: row.price,
    "1h": lambda row: row.changes_percent["1h"],
    "24h": lambda row: row.changes_percent["24h"],
    "7d": lambda row: row.changes_percent["7d"],
    "volume": lambda row: row.volume_24h,
    "exchanges": lambda row: row.exchanges,
    "age": lambda row: -row.observed_at.timestamp(),
}
ASCENDING_FIRST = frozenset({"name", "age"})


def sort_rows(rows: Sequence[CoinRow], column: str, descending: bool) -> list[CoinRow]:
    """The rows in the order of a column; those without a value come last. An unknown column changes nothing."""
    key = COLUMNS.get(column)
    if key is None:
        return list(rows)
    known = [row for row in rows if key(row) is not None]
    unknown = [row for row in rows if key(row) is None]
    return sorted(known, key=lambda row: key(row) or 0, reverse=descending) + unknown


def matches(row: CoinRow, query: str) -> bool:
    """Whether the code or name of a coin contains what was searched for, ignoring case and spaces around it."""
    wanted = query.strip().casefold()
    return wanted in row.coin.casefold() or wanted in row.name.casefold()
