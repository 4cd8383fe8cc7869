"""How far prices moved: changes over several windows for all coins at once, and those that moved most."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.errors import InvalidRequest
from coinwatch.prices.candles.resolutions import WIDTHS, Resolution
from coinwatch.prices.catalog import INDEX
from coinwatch.time_range import floor_to

WINDOWS = (timedelta(hours=1), timedelta(hours=24), timedelta(days=7), timedelta(days=30))
LONGEST_WINDOW = timedelta(days=3660)
MOVERS_AT_MOST = 1000
# A price older than this moves no more; the caller knows how often prices are fetched and may say otherwise.
FRESH = timedelta(hours=1)
# Up to this window a change is measured from the minute, beyond it from the hour.
LONGEST_IN_MINUTES = timedelta(days=2)
# How far before the window's beginning its first price may lie: this part of the window, but never less than the least.
TOLERANCE = 1 / 24
LEAST_TOLERANCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class CoinChanges:
    """A coin's last price at one exchange, and its changes in percent, one per window asked for, in that order.

    A change is None where no price of the window's beginning is known, or none within the window. ``price`` is in
    ``quote``.
    """

    base: str
    coin_name: str
    exchange: str
    quote: str
    price: float
    observed_at: datetime
    changes_percent: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Mover:
    """A coin's last price, what it was at the beginning of the window, and the change between in percent."""

    base: str
    coin_name: str
    exchange: str
    quote: str
    price: float
    price_before: float
    change_percent: float
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Movers:
    """The coins that rose most, the highest change first, and those that fell most, the lowest first.

    ``window_seconds`` is how far back their prices were compared, ``compared`` how many coins could be.
    """

    window_seconds: float
    exchange: str
    compared: int
    gainers: list[Mover]
    losers: list[Mover]


class _Priced(NamedTuple):
    base: str
    coin_name: str
    exchange: str
    quote: str
    price: float
    observed_at: datetime
    before: list[float | None]


class _Moved(NamedTuple):
    base: str
    coin_name: str
    exchange: str
    quote: str
    price: float
    price_before: float
    change_percent: float
    observed_at: datetime
    compared: int


def changes(
    engine: Engine,
    windows: Sequence[timedelta] = WINDOWS,
    *,
    now: datetime,
    exchange: str | None = None,
    fresh: timedelta = FRESH,
) -> list[CoinChanges]:
    """Changes of all coins over each of the ``windows`` before ``now``, ordered by coin.

    Each coin once: its index, or its price at ``exchange``; in US dollars, else in what stands for them. Coins
    without a price younger than ``fresh`` are left out. A window begins with the close of the last candle that was over
    by then; before the index began, with the median of the exchanges'. Raises InvalidRequest for a window that is none.
    """
    parameters = {
        "exchange": (exchange or INDEX).strip(),
        "fresh_after": now - fresh,
        "moments": [now - _checked(window) for window in windows],
        "oldest": [_oldest(now, window) for window in windows],
        "in_minutes": [_finest(window) == "1m" for window in windows],
    }
    with transaction(engine) as connection:
        rows = fetch_rows(connection, "prices/history/changes", parameters, _Priced)
    return [CoinChanges(*row[:6], tuple(_percent(row.price, before) for before in row.before)) for row in rows]


def movers(
    engine: Engine,
    window: timedelta,
    limit: int = 10,
    *,
    now: datetime,
    exchange: str | None = None,
    fresh: timedelta = FRESH,
) -> Movers:
    """The coins that rose and those that fell most over the ``window`` before ``now``, at most ``limit`` of each.

    Compared as in ``changes``. Raises InvalidRequest for a window or a limit that makes no sense.
    """
    if not 1 <= limit <= MOVERS_AT_MOST:
        raise InvalidRequest("limit", f"Ask for 1 to {MOVERS_AT_MOST} movers, not {limit}.")
    moment, resolution = now - _checked(window), _finest(window)
    where = (exchange or INDEX).strip().lower()
    parameters = {
        "exchange": where,
        "fresh_after": now - fresh,
        "moment": moment,
        "oldest": _oldest(now, window),
        "resolution": resolution,
        "last_opened": floor_to(moment, WIDTHS[resolution]) - WIDTHS[resolution],
        "at_most": limit,
    }
    with transaction(engine) as connection:
        rows = fetch_rows(connection, "prices/history/movers", parameters, _Moved)
    found = [Mover(*row[:8]) for row in rows]
    risen = [mover for mover in found if mover.change_percent > 0]
    fallen = [mover for mover in reversed(found) if mover.change_percent < 0]
    return Movers(window.total_seconds(), where, rows[0].compared if rows else 0, risen[:limit], fallen[:limit])


def _percent(price: float, before: float | None) -> float | None:
    return None if before is None else 100 * (price - before) / before


def _checked(window: timedelta) -> timedelta:
    if not timedelta(minutes=1) <= window <= LONGEST_WINDOW:
        raise InvalidRequest("window", f"A window is 1 minute to {LONGEST_WINDOW.days} days long, not {window}.")
    return window


def _oldest(now: datetime, window: timedelta) -> datetime:
    """How early the last candle before the window may have ended."""
    return now - window - max(window * TOLERANCE, LEAST_TOLERANCE)


def _finest(window: timedelta) -> Resolution:
    return "1m" if window <= LONGEST_IN_MINUTES else "1h"
