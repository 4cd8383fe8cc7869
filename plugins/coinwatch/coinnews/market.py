"""What the bundled market serves: coins and their prices, simulated or recorded."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import NamedTuple, Protocol

HISTORY_POINTS = 1440
CHANGE_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin of the simulated market; ``price`` is in US dollars, ``volatility`` a fraction per year."""

    code: str
    name: str
    price: float
    volatility: float
    supply: float


@dataclass(frozen=True, slots=True)
class Value:
    """A price in US dollars and the time from which it is valid."""

    value: float
    at: datetime


class Candle(NamedTuple):
    """The prices from ``opened_at`` (Unix time) to the next candle, and what was traded (``volume``, in the coin)."""

    opened_at: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Source(Protocol):
    """A source of a coin's prices: the simulation or a recording."""

    def current(self, now: datetime) -> Value:
        """The price at ``now``."""
        ...

    def change(self, now: datetime) -> float:
        """The change over the last 24 hours in percent."""
        ...

    def history(self, now: datetime) -> list[Value]:
        """Earlier prices, oldest first, without the current one."""
        ...

    def volume(self, now: datetime) -> float:
        """The volume of the last 24 hours, in the coin."""
        ...

    def candles(self, start: int, end: int, interval: int) -> list[Candle]:
        """The candles of ``interval`` seconds that open in [start, end), which are multiples of it in Unix time."""
        ...


def load_coins() -> dict[str, Coin]:
    """The coins of ``coins.toml`` by their codes."""
    tables = tomllib.loads(files("coinwatch.coinnews").joinpath("coins.toml").read_text("utf-8"))
    return {code: Coin(code=code, **table) for code, table in tables.items()}


def find_coin(coins: Mapping[str, Coin], name: str) -> Coin | None:
    """The coin with this code or name, ignoring case."""
    wanted = name.casefold()
    return next((coin for coin in coins.values() if wanted in {coin.code.casefold(), coin.name.casefold()}), None)
