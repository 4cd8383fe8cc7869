"""The simulated market: prices that depend on the seed and the time alone, whenever the server was started.

Each coin's logarithmic price is a Brownian motion, pinned to the coin's usual price every 97 days, so that it
wanders for years without running away. Any moment is found by halving (Paul Lévy's construction): the value in
the middle of an interval is the mean of its ends plus a normal number drawn from a hash of seed, coin and place.
A part of the motion is common to all coins, as in real markets.
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
PERIOD_SECONDS = 2**HALVINGS  # 97 days; a price holds for one second
YEAR_SECONDS = 365.25 * 86400
COMMON = 0.7  # correlation of every coin with the whole market
SIGNIFICANT_DIGITS = 8
HISTORY_POINTS = 1440
HISTORY_STEP = timedelta(minutes=1)
CHANGE_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin of the bundled market; ``price`` in US dollars, ``volatility`` a fraction per year."""

    code: str
    name: str
    price: float
    volatility: float
    supply: float


@dataclass(frozen=True, slots=True)
class Value:
    """A price in US dollars and the moment since when it holds."""

    value: float
    at: datetime


class Source(Protocol):
    """Where a coin's prices come from: the simulation or a recording."""

    def current(self, now: datetime) -> Value:
        """The price that holds at ``now``."""
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
    """A coin's simulated prices; its history begins at ``since``, a point a minute."""

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
    """US dollars at ``second`` (Unix time), eight significant digits."""
    own = math.sqrt(1 - COMMON**2) * _motion(seed, coin.code, second)
    path = COMMON * _motion(seed, "", second) + own
    price = coin.price * math.exp(coin.volatility / math.sqrt(YEAR_SECONDS) * path)
    return float(f"{price:.{SIGNIFICANT_DIGITS}g}")


def _motion(seed: int, name: str, second: int) -> float:
    """Brownian motion at ``second``, of variance 1 per second, zero at the period's ends."""
    period, place = divmod(second, PERIOD_SECONDS)
    left = right = 0.0
    low, width = 0, PERIOD_SECONDS
    while place != low:
        half = width // 2
        middle = (left + right) / 2 + math.sqrt(width) / 2 * _normal(seed, name, period, low + half)
        if place < low + half:
            right = middle
        else:
            low, left = low + half, middle
        width = half
    return left


@lru_cache(maxsize=100_000)
def _normal(seed: int, name: str, period: int, place: int) -> float:
    """A standard normal number that these arguments alone decide."""
    digest = blake2b(f"{seed}/{name}/{period}/{place}".encode(), digest_size=8).digest()
    return NormalDist().inv_cdf((int.from_bytes(digest, "big") + 0.5) / 2**64)


def by_name(coins: Mapping[str, Coin], name: str) -> Coin | None:
    """The coin called ``name``, by code or full name, in any case."""
    wanted = name.casefold()
    return next((coin for coin in coins.values() if wanted in {coin.code.casefold(), coin.name.casefold()}), None)
