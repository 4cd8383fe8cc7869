"""A generated market for all benchmarks: 1,000 instruments whose values follow from their number and the minute.

Prices have six significant digits, drift slowly and jump by up to 97 ticks from one minute to the next, without a
pattern that compression could exploit. ``PRICE`` and ``VOLUME`` are the same formulas in SQL (columns ``i`` and ``n``),
so that a server can generate its own rows.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from coinwatch.exchanges.models import Instrument, Quote

INSTRUMENTS = 1000
START = datetime(2025, 12, 1, tzinfo=UTC)
EXCHANGE = "kraken"

# Squares modulo a prime look random.
SCATTERED = "((n * 7919 + i * 104729) % 9973) * ((n * 7919 + i * 104729) % 9973) % 9973"
TICKS = f"(100000 + i * 811 % 800000 + abs((n * 7 + i * 131) % 20000 - 10000) + {SCATTERED} % 97)"
PRICE = f"{TICKS} / power(10::float8, i % 5)"
VOLUME = f"(1000000 + i * 977 + abs((n * 13 + i * 7) % 200000 - 100000) + {SCATTERED}) / 100::float8"


def instruments() -> list[Instrument]:
    """All instruments, the one with id 1 first."""
    return [Instrument(EXCHANGE, f"C{number}", "USD", f"C{number}USD") for number in range(1, INSTRUMENTS + 1)]


def quotes(first_minute: int, minutes: int, *, start: datetime = START) -> Iterator[Quote]:
    """A quote of every instrument for every minute, in order of time as exchanges return them."""
    listed = instruments()
    for n in range(first_minute, first_minute + minutes):
        moment = start + timedelta(minutes=n)
        for i, instrument in enumerate(listed, 1):
            ticks, chance, scale = ticks_at(i, n), scattered(i, n), 10.0 ** (i % 5)
            yield Quote(
                instrument=instrument,
                price=ticks / scale,
                observed_at=moment,
                received_at=moment,
                volume_24h=(1_000_000 + i * 977 + abs((n * 13 + i * 7) % 200_000 - 100_000) + chance) / 100,
                bid=(ticks - 1 - chance % 7) / scale,
                ask=(ticks + 1 + chance % 5) / scale,
            )


def ticks_at(i: int, n: int) -> int:
    drift = abs((n * 7 + i * 131) % 20_000 - 10_000)
    return 100_000 + i * 811 % 800_000 + drift + scattered(i, n) % 97


def scattered(i: int, n: int) -> int:
    return ((n * 7919 + i * 104_729) % 9973) ** 2 % 9973
