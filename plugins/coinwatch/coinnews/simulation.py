"""The simulated market: prices that depend only on the seed and the time, not on when the server was started.

Each coin's logarithmic price is a Brownian motion around the coin's base price (:mod:`coinwatch.coinnews.bisection`).
Part of the motion is common to all coins, as in real markets.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from threading import Lock

from coinwatch.coinnews.bisection import (
    SHORTEST_VOLUME_SECONDS,
    motion,
    motion_between,
    motion_path,
    traded,
    traded_path,
)
from coinwatch.coinnews.market import CHANGE_WINDOW, HISTORY_POINTS, Candle, Coin, Value

YEAR_SECONDS = 365.25 * 86400
DAY_SECONDS = 86400
COMMON = 0.7  # correlation of every coin with the whole market
OWN = math.sqrt(1 - COMMON**2)
SIGNIFICANT_DIGITS = 8
HISTORY_STEP = timedelta(minutes=1)
DAILY_TURNOVER = 0.03  # the part of a coin's supply that is traded on an average day
# The lengths of candles, and how far apart the prices are that their highs and lows are taken from, in seconds.
SAMPLING = {60: 16, 3600: 1024, 86400: 4096}

_lock = Lock()


@dataclass(frozen=True, slots=True)
class Simulation:
    """A coin's simulated prices; its history of points starts at ``since``, with one per minute."""

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

    def volume(self, now: datetime) -> float:
        second = math.floor(now.timestamp())
        day = traded(self.seed, self.coin.code, second) - traded(self.seed, self.coin.code, second - DAY_SECONDS)
        return _volume(self.coin, day)

    def candles(self, start: int, end: int, interval: int) -> list[Candle]:
        return simulated_candles(self.coin, self.seed, start, end, interval)


def simulated_price(coin: Coin, seed: int, second: int) -> float:
    """The price in US dollars at ``second`` (Unix time), with eight significant digits."""
    return _price(coin, _combine(motion(seed, "", second), motion(seed, coin.code, second)))


def simulated_candles(coin: Coin, seed: int, start: int, end: int, interval: int) -> list[Candle]:
    """The candles that open in [start, end), both multiples of ``interval``, a key of SAMPLING.

    Open and close are the simulated prices at both ends. High and low are those of prices some seconds apart, not of
    every second, so that a month of minutes takes about a second.
    """
    if start >= end:
        return []
    with _lock:  # threads that want the same range of several coins compute what is common to them once
        common, common_samples = _common_motion(seed, start, end, interval)
    own, own_samples = _sample_motion(seed, coin.code, start, end, interval)
    prices = [_price(coin, _combine(*both)) for both in zip(common, own, strict=True)]
    paths = [_combine(*both) for both in zip(common_samples, own_samples, strict=True)]
    volumes = pairwise(_traded_at_bounds(coin, seed, range(start, end + 1, interval)))
    spacing, origin = SAMPLING[interval], start // SAMPLING[interval]
    found = []
    bars = zip(range(start, end, interval), pairwise(prices), volumes, strict=True)
    for opened_at, (opening, close), (before, after) in bars:
        within = paths[-(-opened_at // spacing) - origin : -(-(opened_at + interval) // spacing) - origin]
        high, low = max(opening, close, _price(coin, max(within))), min(opening, close, _price(coin, min(within)))
        found.append(Candle(opened_at, opening, high, low, close, _volume(coin, after - before)))
    return found


def _sample_motion(seed: int, name: str, start: int, end: int, interval: int) -> tuple[list[float], list[float]]:
    """The motion at both ends of each candle, and at every multiple of the sampling distance around them."""
    spacing = SAMPLING[interval]
    samples = motion_path(seed, name, start, end, spacing)
    return list(_motion_at_bounds(seed, name, range(start, end + 1, interval), samples, spacing)), samples


def _motion_at_bounds(seed: int, name: str, bounds: range, samples: list[float], spacing: int) -> Iterator[float]:
    origin = bounds.start // spacing
    for second in bounds:
        number, rest = divmod(second, spacing)
        left = samples[number - origin]
        yield motion_between(seed, name, second, spacing, left, samples[number - origin + 1]) if rest else left


@lru_cache(maxsize=4)
def _common_motion(seed: int, start: int, end: int, interval: int) -> tuple[list[float], list[float]]:
    return _sample_motion(seed, "", start, end, interval)


def _traded_at_bounds(coin: Coin, seed: int, bounds: range) -> Iterator[float]:
    """What has been traded by each end of a candle; for long candles, only the ends are computed."""
    step = SHORTEST_VOLUME_SECONDS
    if bounds.step > 10 * step:
        yield from (traded(seed, coin.code, second) for second in bounds)
        return
    path = traded_path(seed, coin.code, bounds.start, bounds.stop)
    origin = bounds.start // step
    for second in bounds:
        number, rest = divmod(second, step)
        left = path[number - origin]
        yield left + (path[number - origin + 1] - left) * rest / step if rest else left


def _combine(common: float, own: float) -> float:
    return COMMON * common + OWN * own


def _price(coin: Coin, path: float) -> float:
    return _rounded(coin.price * math.exp(coin.volatility / math.sqrt(YEAR_SECONDS) * path))


def _volume(coin: Coin, seconds: float) -> float:
    """The volume of this many average seconds, in the coin."""
    return _rounded(coin.supply * DAILY_TURNOVER / DAY_SECONDS * seconds)


def _rounded(number: float) -> float:
    return float(f"{number:.{SIGNIFICANT_DIGITS}g}")
