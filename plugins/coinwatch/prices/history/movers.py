"""How far prices moved: the changes of all coins over several windows, and the coins that moved most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, transaction
from coinwatch.errors import InvalidRequest
from coinwatch.formatting import format_duration
from coinwatch.prices.catalog import INDEX
from coinwatch.prices.unknown_names import check_names
from coinwatch.time_range import DAY, HOUR, MINUTE

WINDOWS: Mapping[str, timedelta] = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
LONGEST_WINDOW = timedelta(days=3660)
MAX_MOVERS = 1000
# A coin whose price is older is left out; callers who know how often prices are fetched can pass their own.
FRESH = HOUR
# How long before the start of the window its first price may be: a fraction of the window, or the minimum.
TOLERANCE = 1 / 24
MIN_TOLERANCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class CoinChanges:
    """A coin's last price on one exchange, and its change in percent by the name of each window.

    A change is None if no price is known from the start of the window, or none within it. ``price`` is in ``quote``.
    """

    base: str
    coin_name: str
    exchange: str
    quote: str
    price: float
    observed_at: datetime
    changes_percent: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Mover:
    """A coin's last price, its price at the start of the window, and the change between them in percent.

    ``price_before`` of the index is stated for the exchanges that it has now, so that the two can be compared.
    """

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

    ``compared`` is the number of coins with a known change over the window.
    """

    window_seconds: float
    exchange: str
    compared: int
    gainers: list[Mover]
    losers: list[Mover]


class _Prices(NamedTuple):
    base: str
    coin_name: str
    exchange: str
    quote: str
    price: float
    observed_at: datetime
    before: list[float | None]


def read_changes(
    engine: Engine,
    windows: Mapping[str, timedelta] = WINDOWS,
    *,
    now: datetime,
    exchange: str | None = None,
    fresh: timedelta = FRESH,
) -> list[CoinChanges]:
    """The changes of all coins over each of the named ``windows`` before ``now``, ordered by coin.

    Each coin appears once, with its price on ``exchange`` (the index if None) in US dollars, or else in a stablecoin.
    Coins without a price younger than ``fresh`` are left out. A window starts with the close of the last candle that
    had ended by then; before the index began, with the median of the exchanges. Exchanges that joined or left the index
    in between do not count as a change (docs/index.md). Raises NotFound for an unknown exchange and InvalidRequest for
    a window out of bounds.
    """
    rows = _read_prices(engine, [*windows.values()], now, exchange or INDEX, fresh)
    return [
        CoinChanges(
            *row[:6], {name: _percent(row.price, before) for name, before in zip(windows, row.before, strict=True)}
        )
        for row in rows
    ]


def read_movers(
    engine: Engine,
    window: timedelta,
    limit: int = 10,
    *,
    now: datetime,
    exchange: str | None = None,
    fresh: timedelta = FRESH,
) -> Movers:
    """The coins that rose and fell most over the ``window`` before ``now``, at most ``limit`` of each.

    Prices are compared as in ``read_changes``. Raises NotFound for an unknown exchange and InvalidRequest for a window
    or limit out of bounds.
    """
    if not 1 <= limit <= MAX_MOVERS:
        raise InvalidRequest("limit", f"limit is {limit}; it must be between 1 and {MAX_MOVERS:,}.")
    compared = []
    for row in _read_prices(engine, [window], now, exchange or INDEX, fresh):
        before, change = row.before[0], _percent(row.price, row.before[0])
        if before is not None and change is not None:
            compared.append(Mover(*row[:5], before, change, row.observed_at))
    compared.sort(key=lambda mover: (-mover.change_percent, mover.base))
    gainers = [mover for mover in compared if mover.change_percent > 0][:limit]
    losers = [mover for mover in reversed(compared) if mover.change_percent < 0][:limit]
    return Movers(window.total_seconds(), (exchange or INDEX).strip().lower(), len(compared), gainers, losers)


def _read_prices(
    engine: Engine, windows: Sequence[timedelta], now: datetime, exchange: str, fresh: timedelta
) -> list[_Prices]:
    """The last price of each coin, and its price at the start of each window."""
    for window in windows:
        if not MINUTE <= window <= LONGEST_WINDOW:
            raise InvalidRequest(
                "window",
                f"window is {format_duration(window)}; it must be between 1 minute and {LONGEST_WINDOW.days} days.",
            )
    parameters = {
        "exchange": exchange.strip(),
        "fresh_after": now - fresh,
        "moments": [now - window for window in windows],
        "oldest": [now - window - max(window * TOLERANCE, MIN_TOLERANCE) for window in windows],
    }
    with transaction(engine) as connection:
        found = fetch_rows(connection, "prices/history/select_changes", parameters, _Prices)
        if not found and exchange != INDEX:
            check_names(connection, exchange=exchange)
        return found


def _percent(price: float, before: float | None) -> float | None:
    return None if before is None else 100 * (price - before) / before
