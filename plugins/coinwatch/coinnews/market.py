"""The simulated market: prices that depend only on the seed and the time, not on when the server was started.

Each coin's logarithmic price is a Brownian motion that returns to the coin's base price every 97 days, so that it does
not drift away over years. The value at any time is found by bisection (Paul Lévy's construction): in the middle of an
interval it is the mean of the ends plus a normal random number drawn from a hash of seed, coin and position. Part of
the motion is common to all coins, as in real markets.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from importlib.resources import files
from statistics import NormalDist
from typing import Protocol

HALVINGS = 23
PERIOD_SECONDS = 2**HALVINGS  # 97 days; a price is valid for one second
YEAR_SECONDS = 365.25 * 86400
COMMON = 0.7  # correlation of every coin with the whole market
SIGNIFICANT_DIGITS = 8
HISTORY_POINTS = 1440
HISTORY_STEP = timedelta(minutes=1)
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


def load_coins() -> dict[str, Coin]:
    """The coins of ``coins.toml`` by their codes."""
    tables = tomllib.loads(files("coinwatch.coinnews").joinpath("coins.toml").read_text("utf-8"))
    return {code: Coin(code=code, **table) for code, table in tables.items()}


@dataclass(frozen=True, slots=True)
class Simulation:
    """A coin's simulated prices; its history starts at ``since``, with a point per minute."""

    coin: Coin
    seed: int
    since: datetime

    def current(self, now: datetime) -> Value:
        second = math.floor(now.timestamp())
        return Value(simulated_price(self.coin, self.seed, second), datetime.fromtimestamp(second, UTC))

    def change(self, now: datetime) -> float:
        before = self.current(now - CHANGE_WINDOW).value
        return (self.current(now).value / before - 1) * 100

    def history(self, now: datetime) -> list[Value]:
        step = int(HISTORY_STEP.total_seconds())
        last = (math.ceil(self.current(now).at.timestamp()) - 1) // step
        first = max(math.ceil(self.since.timestamp() / step), last - HISTORY_POINTS + 1)
        return [self.current(datetime.fromtimestamp(minute * step, UTC)) for minute in range(first, last + 1)]


def simulated_price(coin: Coin, seed: int, second: int) -> float:
    """The price in US dollars at ``second`` (Unix time), with eight significant digits."""
    own = math.sqrt(1 - COMMON**2) * _motion(seed, coin.code, second)
    path = COMMON * _motion(seed, "", second) + own
    price = coin.price * math.exp(coin.volatility / math.sqrt(YEAR_SECONDS) * path)
    return float(f"{price:.{SIGNIFICANT_DIGITS}g}")


def _motion(seed: int, name: str, second: int) -> float:
    """The Brownian motion at ``second``, with a variance of 1 per second, zero at the ends of a period."""
    period, position = divmod(second, PERIOD_SECONDS)
    left = right = 0.0
    low, width = 0, PERIOD_SECONDS
    while position != low:
        half = width // 2
        middle = (left + right) / 2 + math.sqrt(width) / 2 * _normal(seed, name, period, low + half)
        if position < low + half:
            right = middle
        else:
            low, left = low + half, middle
        width = half
    return left


@lru_cache(maxsize=100_000)
def _normal(seed: int, name: str, period: int, position: int) -> float:
    """A standard normal random number, determined by the arguments."""
    digest = blake2b(f"{seed}/{name}/{period}/{position}".encode(), digest_size=8).digest()
    return NormalDist().inv_cdf((int.from_bytes(digest, "big") + 0.5) / 2**64)


def find_coin(coins: Mapping[str, Coin], name: str) -> Coin | None:
    """The coin with this code or name, ignoring case."""
    wanted = name.casefold()
    return next((coin for coin in coins.values() if wanted in {coin.code.casefold(), coin.name.casefold()}), None)
