"""Values as people enter them, in the form and in files: which reading of a number is likely, and last days."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Engine

from coinwatch.alerts.rules import HIGHEST_PERCENT, LOWEST_PERCENT
from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.prices.catalog import find_instrument
from coinwatch.prices.history.latest import read_latest_prices

LIKELY_FACTOR = 5  # an ambiguous level is assumed to be within this factor of the latest value


def is_possible_percent(number: float) -> bool:
    """Whether a threshold in percent is within the limits."""
    return LOWEST_PERCENT <= number <= HIGHEST_PERCENT


def near_latest_value(engine: Engine, entered: Mapping[str, str], now: datetime) -> Callable[[float], bool]:
    """Whether a level is near the latest value of the entered ``coin``, ``exchange``, ``quote`` and ``metric``.

    The two readings of a number differ by a factor of 1000, so at most one is.
    """

    def is_near(number: float) -> bool:
        latest = _latest_value(engine, entered, now)
        return latest is not None and latest / LIKELY_FACTOR < number < latest * LIKELY_FACTOR

    return is_near


def end_of_day(text: str) -> datetime:
    """The end of a UTC day, entered as 2026-01-31 or 31.01.2026. Raises ValueError with a message for the user."""
    try:
        day = (
            date.fromisoformat(text)
            if "." not in text
            else datetime.strptime(text, "%d.%m.%Y").replace(tzinfo=UTC).date()
        )
    except ValueError:
        raise ValueError(f"{text!r} is not a date. Use the format 2026-01-31.") from None
    return datetime.combine(min(day, date.max - timedelta(days=1)), time(), UTC) + timedelta(days=1)


def _latest_value(engine: Engine, entered: Mapping[str, str], now: datetime) -> float | None:
    """The latest price (or 24 h volume) of the instrument; None if there is none."""
    try:
        with transaction(engine) as connection:
            found = find_instrument(
                connection, entered.get("coin", ""), entered.get("exchange") or None, entered.get("quote") or None
            )
    except NotFound:
        return None
    for row in read_latest_prices(engine, now, found.base, found.exchange, with_change=False):
        if row.quote == found.quote:
            return row.volume_24h if entered.get("metric") == "volume_24h" else row.price
    return None
