"""CSV headers: finding the columns of a candle by their names in any spelling."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PRICES = {
    "open": ("open", "open price", "price open", "o"),
    "high": ("high", "high price", "price high", "h"),
    "low": ("low", "low price", "price low", "l"),
    "close": ("close", "close price", "price close", "last", "c"),
}
TIMES = (
    "unix", "unix timestamp", "timestamp", "opened at", "open time", "opentime", "time period start", "datetime",
    "date time", "start", "date", "time", "t",
)  # fmt: skip
BASE_VOLUMES = ("volumefrom", "volume from", "base volume", "basevolume", "volume base")
QUOTE_VOLUMES = (
    "volumeto", "volume to", "quote volume", "quotevolume", "volume quote", "quote asset volume", "turnover",
)  # fmt: skip
UNLABELED_VOLUMES = ("volume", "vol", "volume traded", "amount", "v")
TRADES = ("trades", "tradecount", "trade count", "trades count", "number of trades", "count")


@dataclass(frozen=True, slots=True)
class Header:
    """The positions of the columns. ``times`` are all that may contain the time, the most exact first."""

    names: tuple[str, ...]
    prices: tuple[int, int, int, int]
    times: tuple[int, ...]
    symbol: int | None
    trades: int | None

    def volumes(self, symbol: str) -> tuple[int | None, int | None]:
        """The columns labeled as volume in the base and in the quote currency of a symbol such as BTCUSDT.

        Labels may be wrong: the candle validation compares the volumes with the prices.
        """
        base, quote = self._find(BASE_VOLUMES), self._find(QUOTE_VOLUMES)
        in_currency = {
            name.removeprefix("volume ").upper().replace(" ", ""): place
            for place, name in enumerate(self.names)
            if name.startswith("volume ") and place not in {base, quote}
        }
        # USDT rather than USD in USDTUSD, and BTC in BTCUSDT
        bases = [currency for currency in in_currency if symbol.startswith(currency)]
        if base is None and bases:
            base = in_currency.pop(max(bases, key=len))
        if quote is None:
            quote = next((place for currency, place in in_currency.items() if symbol.endswith(currency)), None)
        unlabeled = self._find(UNLABELED_VOLUMES)
        if base is None:
            return unlabeled, quote
        return base, unlabeled if quote is None else quote

    def _find(self, wanted: Sequence[str]) -> int | None:
        return _find(self.names, wanted)


def parse_header(fields: Sequence[str]) -> Header | None:
    """The header in a row; None if the row is not a header of candles."""
    # Date (UTC), <OPEN>, open_time and Volume(BTC) become date, open, open time and volume btc.
    names = tuple(re.sub(r"[\W_]+", " ", field.casefold()).strip() for field in fields)
    names = tuple(re.sub(r"^(utc|gmt) (?=date|time)| (utc|gmt)$", "", name) for name in names)
    prices = [_find(names, spellings) for spellings in PRICES.values()]
    opening, high, low, close = prices
    if opening is None or high is None or low is None or close is None:
        return None
    if any(names.count(price) > 1 for price in PRICES):
        return None
    times = tuple(names.index(name) for name in TIMES if name in names)
    return Header(names, (opening, high, low, close), times, _find(names, ("symbol",)), _find(names, TRADES))


def find_header(head: Sequence[Sequence[str]]) -> Header | None:
    """The first header among the first rows of a file."""
    return next((header for header in map(parse_header, head) if header), None)


def skip_header(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows after the header."""
    for _, fields in rows:
        if parse_header(fields):
            break
    yield from rows


def _find(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)
