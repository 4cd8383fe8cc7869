"""The same made-up market for everyone: 1,000 instruments whose prices follow from number and minute alone.

Prices have six significant digits and move like prices: slowly, by a few ticks from one minute to the next. ``PRICE``
and ``VOLUME`` are the same formulas in SQL (columns ``i`` and ``n``), so that a server can make its own rows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from coinwatch.exchanges.domain import Instrument, Quote

INSTRUMENTS = 1000
START = datetime(2025, 12, 1, tzinfo=UTC)
EXCHANGE = "kraken"

TICKS = "(100000 + i * 811 % 800000 + abs((n * 7 + i * 131) % 20000 - 10000) + (n * 7919 + i * 104729) % 97)"
PRICE = f"{TICKS} / power(10::float8, i % 5)"
VOLUME = "(1000000 + i * 977 + abs((n * 13 + i * 7) % 200000 - 100000)) / 100::float8"


def instruments() -> list[Instrument]:
    """The instrument with id 1 first."""
    return [Instrument(EXCHANGE, f"C{number}", "USD", f"C{number}USD") for number in range(1, INSTRUMENTS + 1)]


def quotes(first_minute: int, minutes: int, *, start: datetime = START) -> Iterator[Quote]:
    """A quote of every instrument for every minute, as exchanges hand them over: time by time."""
    listed = instruments()
    for n in range(first_minute, first_minute + minutes):
        moment = start + timedelta(minutes=n)
        for i, instrument in enumerate(listed, 1):
            ticks, scale = ticks_at(i, n), 10.0 ** (i % 5)
            yield Quote(
                instrument=instrument,
                price=ticks / scale,
                observed_at=moment,
                received_at=moment,
                volume_24h=volume_at(i, n),
                bid=(ticks - 2) / scale,
                ask=(ticks + 3) / scale,
            )


def ticks_at(i: int, n: int) -> int:
    return 100_000 + i * 811 % 800_000 + abs((n * 7 + i * 131) % 20_000 - 10_000) + (n * 7919 + i * 104_729) % 97


def volume_at(i: int, n: int) -> float:
    return (1_000_000 + i * 977 + abs((n * 13 + i * 7) % 200_000 - 100_000)) / 100
