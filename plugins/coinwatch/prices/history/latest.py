"""The latest price of every instrument."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from coinwatch.database import fetch_rows, reading
from coinwatch.prices.unknown_names import check_names
from coinwatch.time_range import DAY, HOUR, MINUTE


@dataclass(frozen=True, slots=True)
class LatestPrice:
    """The newest price of one instrument.

    ``price``, ``bid`` and ``ask`` are in the quote currency, ``volume_24h`` in the base currency. ``age_seconds`` is
    the time since ``observed_at`` (UTC). ``change_24h_percent`` is None if there is no price from a day earlier, or if
    the newest price is itself more than a day old. An index is ``simulated`` if no real exchange is enabled for the
    coin.
    """

    exchange: str
    exchange_name: str
    base: str
    coin_name: str
    quote: str
    price: float
    volume_24h: float | None
    bid: float | None
    ask: float | None
    observed_at: datetime
    age_seconds: float
    change_24h_percent: float | None
    simulated: bool = False


# The change over 24 hours is measured from a price 24 to 25 hours older than the newest, which is less than a day old.
OLDEST_COMPARED = 2 * DAY + HOUR
CLOCK_TOLERANCE = MINUTE  # an exchange's clock may be ahead of ours


def read_latest_prices(
    engine: Engine, now: datetime, coin: str | None = None, exchange: str | None = None, *, with_change: bool = True
) -> list[LatestPrice]:
    """The newest price of every watched instrument: coins in configured order, the index before the exchanges.

    ``coin`` (a code or name) and ``exchange`` (a code) filter the list. Without ``with_change`` the 24-hour change is
    left out, which takes half the time. Raises NotFound for an unknown coin or exchange, and DatabaseError.
    """
    parameters = {
        "now": now,
        "coin": coin and coin.strip(),
        "exchange": exchange and exchange.strip(),
        "with_change": with_change,
        "oldest": now - OLDEST_COMPARED,
        "newest": now - timedelta(hours=24) + CLOCK_TOLERANCE,
    }
    with reading(engine) as connection:
        found = fetch_rows(connection, "prices/history/select_latest_prices", parameters, LatestPrice)
        if not found:
            check_names(connection, coin, exchange)
        return found
