"""Template filters: the formats of ``coinwatch.formatting``, with a dash for a missing value."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo

from coinwatch.addresses import display_address
from coinwatch.formatting import (
    format_age,
    format_amount,
    format_bytes,
    format_compact,
    format_count,
    format_duration,
    format_percent,
    format_price,
    format_timestamp,
    plain_number,
)
from coinwatch.logs import without_addresses

NO_VALUE = "–"  # noqa: RUF001  an en dash, as tables show a missing value


def price(value: float | None) -> str:
    """A price in its quote currency, without the currency."""
    return NO_VALUE if value is None else format_price(value)


def amount(value: float | None) -> str:
    """A traded amount in its base currency, without the currency."""
    return NO_VALUE if value is None else format_amount(value)


def compact(value: float) -> str:
    """A sum of money or an amount in three digits and a unit: 1.23B."""
    return format_compact(value)


def significant(value: float) -> str:
    """A number for programs with four significant digits, enough for what people read."""
    return plain_number(float(f"{value:.4g}"))


def change(percent: float | None) -> str:
    """A signed change, in percent."""
    return NO_VALUE if percent is None else format_percent(percent, signed=True)


def spread(bid_and_ask: tuple[float, float]) -> str:
    """Ask minus bid, to the decimals of the price; with more where it would be zero otherwise."""
    bid, ask = bid_and_ask
    decimals = max(2, len(format_price(ask).partition(".")[2]))
    return format_price(round(ask - bid, decimals) or float(f"{ask - bid:.3g}"))


def local_time(moment: datetime, zone: tzinfo) -> str:
    """A time in the zone, to the minute, with the zone's abbreviation: 2026-11-20 13:05 CET."""
    return format_timestamp(moment, zone, "minutes")


def local_second(moment: datetime, zone: tzinfo) -> str:
    """A time in the zone, to the second, with the zone's abbreviation: 2026-11-20 13:05:30 CET."""
    return format_timestamp(moment, zone)


def utc_cell(moment: datetime) -> str:
    """A UTC time to the minute, for columns whose heading names the zone: 2026-11-20 12:05."""
    return format_timestamp(moment, UTC, "minutes").removesuffix(" UTC")


def iso(moment: datetime) -> str:
    """2026-01-31T12:00:05Z, for ``<time datetime>`` and links."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FILTERS: Mapping[str, Callable[..., str]] = {
    "price": price,
    "amount": amount,
    "change": change,
    "percent": format_percent,
    "compact": compact,
    "significant": significant,
    "spread": spread,
    "age": format_age,
    "duration": format_duration,
    "counted": format_count,
    "utc": format_timestamp,
    "utc_cell": utc_cell,
    "local_time": local_time,
    "local_second": local_second,
    "iso": iso,
    "address": display_address,
    "bytes": format_bytes,
    "without_addresses": without_addresses,
}
