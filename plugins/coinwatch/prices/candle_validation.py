"""Validation of candles from any source: an exchange's response, a file, or candles stored before.

Labels are not trusted: prices are compared with each other and with the neighboring candles, and the volume with the
prices. ``ValidationReport`` counts what was rejected, repaired, or is unusual.
"""

import math
from bisect import insort
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

from coinwatch.exchanges.models import Candle, RawCandle
from coinwatch.exchanges.validation import HIGHEST_PRICE, HIGHEST_VOLUME, LOWEST_PRICE
from coinwatch.prices.candles.resolutions import WIDTHS, Resolution
from coinwatch.prices.candles.time_grid import EARLIEST
from coinwatch.prices.decimals import parse_decimal, rounding_unit

JUMP = 100.0  # a price this many times its neighbor's is a wrong price, or a new unit
SPIKE_CANDLES = 5  # that many wrong candles in a row are recognized
NEIGHBOR_WIDTHS = 10  # candles further apart are not compared
VOLUME_TOLERANCE = 1e-3  # of the average price, for rounded prices
SLOTS_PER_CHUNK = 1440
EXAMPLES = 5
RAW_LENGTH = 80

DUPLICATE = "is a duplicate; the more complete, newer row was kept"
SWAPPED = "has its base and quote volume swapped"
WRONG_VOLUME = "has a volume that does not fit its prices; the volume was left out"
NO_BASE_VOLUME = "has no volume in the base currency; the volume was left out"
SPIKE = f"is a {JUMP:g}-fold price jump from its neighbors"
LEVEL_CHANGE = f"is a {JUMP:g}-fold price jump that the following candles confirm"
WIDE_RANGE = f"has a high more than {JUMP:g} times its low"


@dataclass(slots=True)
class ValidationReport:
    """The number of rows validated; by reason, of those rejected, those repaired, and those kept although unusual."""

    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    unusual: Counter[str] = field(default_factory=Counter)
    _examples: list[tuple[int, str]] = field(default_factory=list)

    @property
    def examples(self) -> list[str]:
        """The first rejected rows, with their line and raw value."""
        return [text for _, text in self._examples]

    def reject(self, line: int, reason: str, raw: object) -> None:
        """Count a row as rejected and keep it as an example; ``line`` is 0 if it is not from a file."""
        self.rejected[reason] += 1
        if len(self._examples) < EXAMPLES or line < self._examples[-1][0]:
            where = f"line {line} " if line else ""
            insort(self._examples, (line, f"{where}{reason}: {str(raw)[:RAW_LENGTH]}"), key=itemgetter(0))
            del self._examples[EXAMPLES:]


class ValidCandle(NamedTuple):
    """A valid candle and the row it was read from."""

    candle: Candle
    row: RawCandle


class CandleValidator:
    """Validates the candles of one instrument and resolution, in batches, and counts them in ``report``.

    Duplicates and price jumps are also found across batches, with a byte of memory per candle between the first and the
    last. A candle that ends after ``complete_until`` is rejected with the reason ``incomplete``.
    """

    def __init__(
        self,
        resolution: Resolution,
        complete_until: datetime,
        report: ValidationReport,
        incomplete: str = "is not complete yet",
    ) -> None:
        self.report = report
        self._incomplete = incomplete
        self._resolution = resolution
        self._width = WIDTHS[resolution]
        self._last = complete_until - self._width
        self._completeness: dict[int, bytearray] = {}  # of the rows seen, plus 1, by position on the time grid
        self._edges: dict[int, ValidCandle] = {}  # the first and last candles so far, which the next batch may adjoin

    def validate(self, rows: Sequence[RawCandle]) -> list[ValidCandle]:
        """The valid candles of the next rows, oldest first, each time once."""
        newest_first = len(rows) > 1 and rows[0].opened_at > rows[-1].opened_at
        found: dict[int, ValidCandle] = {}
        for row in rows:
            slot, offset = divmod(row.opened_at - EARLIEST, self._width)
            reason = self._time_problem(row, slot, bool(offset))
            candle = None if reason else self._parse(row)
            if candle is None:
                continue
            new = ValidCandle(candle, row)
            if self._is_best(slot, new, found.get(slot), newest_first):
                found[slot] = new
        self.report.rows += len(rows)
        return self._without_spikes(found)

    def _time_problem(self, row: RawCandle, slot: int, off_grid: bool) -> bool:
        if row.opened_at > self._last:
            reason = self._incomplete
        elif slot < 0:
            reason = f"is before {EARLIEST:%Y}"
        elif off_grid:
            reason = f"does not open on a {self._resolution} boundary"
        else:
            return False
        self.report.reject(row.line, reason, row.opened_at.isoformat())
        return True

    def _parse(self, row: RawCandle) -> Candle | None:
        prices = _parse_prices(row)
        if isinstance(prices, str):
            self.report.reject(row.line, f"is invalid, {prices}", ",".join(map(str, row[1:5])))
            return None
        opening, high, low, close = prices
        if high > JUMP * low:
            self.report.unusual[WIDE_RANGE] += 1
        volume, problem = _base_volume(row, low, high)
        if problem:
            self.report.repaired[problem] += 1
        trades = row.trades
        if not isinstance(trades, int) or isinstance(trades, bool) or not 0 <= trades < 2**31:
            trades = None
        return Candle(row.opened_at.astimezone(UTC), opening, high, low, close, volume, trades)

    def _is_best(self, slot: int, new: ValidCandle, other: ValidCandle | None, newest_first: bool) -> bool:
        """Whether to keep this row rather than the ``other`` rows of the same time seen so far."""
        place, index = divmod(slot, SLOTS_PER_CHUNK)
        chunk = self._completeness.get(place)
        if chunk is None:
            chunk = self._completeness[place] = bytearray(SLOTS_PER_CHUNK)
        known = 1 + _completeness(new)
        before = chunk[index]
        if not before:
            chunk[index] = known
            return True
        self.report.repaired[DUPLICATE] += 1
        if known == before and other is not None and new.candle.trades != other.candle.trades:
            return (new.candle.trades or 0) > (other.candle.trades or 0)
        if known < before or (known == before and newest_first):
            return False
        chunk[index] = known
        return True

    def _without_spikes(self, found: dict[int, ValidCandle]) -> list[ValidCandle]:
        if not found:
            return []
        slots = sorted({*found, *self._edges})
        candles = [found[slot] if slot in found else self._edges[slot] for slot in slots]
        self._edges = {slot: candles[place] for place, slot in enumerate(slots) if not 1 < place < len(slots) - 2}
        spikes, changes = _find_jumps(slots, [each.candle.close for each in candles])
        for place in spikes & {place for place, slot in enumerate(slots) if slot in found}:
            candle, row = candles[place]
            self.report.reject(row.line, SPIKE, f"{candle.close:g} at {candle.opened_at.isoformat()}")
            del found[slots[place]]
            self._edges.pop(slots[place], None)
        if changes:
            self.report.unusual[LEVEL_CHANGE] += sum(1 for place in changes if slots[place] in found)
        return [found[slot] for slot in slots if slot in found]


def volumes_fit(rows: Sequence[RawCandle]) -> bool:
    """Whether one of a file's two volumes is the base volume; False if most rows contradict that.

    True if the rows do not have two volumes.
    """
    fitting, wrong = 0, 0
    for row in rows:
        prices = _parse_prices(row)
        if not isinstance(prices, str) and row.volume is not None and row.quote_volume is not None:
            volume, problem = _base_volume(row, prices[2], prices[1])
            fitting += bool(volume)
            wrong += problem == WRONG_VOLUME
    return wrong <= fitting


def _parse_prices(row: RawCandle) -> tuple[float, float, float, float] | str:
    """Open, high, low and close, or what is wrong with them."""
    opening, high, low, close = map(parse_decimal, row[1:5])
    if opening is None or high is None or low is None or close is None:
        return "a price is missing or out of bounds"
    if not (low <= opening <= high and low <= close <= high):
        if all(LOWEST_PRICE <= price <= HIGHEST_PRICE for price in (opening, high, low, close)):
            return "the prices contradict each other"
        return "a price is missing or out of bounds"
    if not (low >= LOWEST_PRICE and high <= HIGHEST_PRICE):
        return "a price is missing or out of bounds"
    return opening, high, low, close


def _base_volume(row: RawCandle, low: float, high: float) -> tuple[float | None, str | None]:
    """The volume in the base currency, None if unknown, and what was repaired.

    The quote volume divided by the base volume is the average price, so it is between the low and the high.
    """
    base, base_problem = _parse_volume(row.volume)
    quote, _ = _parse_volume(row.quote_volume)
    if quote is None:
        return base, base_problem
    if base is None:
        return None, base_problem or NO_BASE_VOLUME
    least, most = low * (1 - VOLUME_TOLERANCE), high * (1 + VOLUME_TOLERANCE)
    if least * base <= quote <= most * base:
        return base, None
    if least * quote <= base <= most * quote:
        return quote, SWAPPED
    base_error, quote_error = rounding_unit(row.volume), rounding_unit(row.quote_volume)
    if least * (base - base_error) <= quote + quote_error and quote - quote_error <= most * (base + base_error):
        return base, None
    if least * (quote - quote_error) <= base + base_error and base - base_error <= most * (quote + quote_error):
        return quote, SWAPPED
    return None, WRONG_VOLUME


def _parse_volume(value: object) -> tuple[float | None, str | None]:
    if value is None or value == "":
        return None, None
    number = parse_decimal(value)
    if number is not None and 0 <= number <= HIGHEST_VOLUME:
        return number, None
    unknown = number is not None and math.isnan(number)
    return None, None if unknown or str(value).strip().upper() in {"NULL", "NONE", "NA", "N/A", "-"} else WRONG_VOLUME


def _completeness(new: ValidCandle) -> int:
    candle, row = new
    return (candle.volume is not None) + (candle.trades is not None) + (row.quote_volume is not None)


def _find_jumps(slots: Sequence[int], closes: Sequence[float]) -> tuple[set[int], set[int]]:
    """Positions of candles that are wrong, and of those where the price level changes for good.

    Up to SPIKE_CANDLES candles are wrong if those before and after them agree; at an end of the candles, one is.
    """
    jumps = [
        place
        for place, (before, after) in enumerate(pairwise(closes), 1)
        if _is_jump(before, after) and slots[place] - slots[place - 1] <= NEIGHBOR_WIDTHS
    ]
    spikes: set[int] = set()
    changes: set[int] = set()
    if not jumps:
        return spikes, changes
    level: range | None = None  # the last candles that are right
    segments = list(_segments(slots, jumps))
    for number, (segment, starts_anew) in enumerate(segments):
        following = segments[number + 1][0] if number + 1 < len(segments) and not segments[number + 1][1] else None
        if starts_anew:
            level = None
        if level is None:
            is_spike = following is not None and len(segment) == 1 < len(following)
        elif not _is_jump(closes[level[-1]], closes[segment[0]]):
            is_spike = False
        elif following is None:
            is_spike = len(segment) == 1 < len(level)
        else:
            is_spike = len(segment) <= SPIKE_CANDLES and not _is_jump(closes[level[-1]], closes[following[0]])
        if is_spike:
            spikes.update(segment)
            continue
        if level is not None and _is_jump(closes[level[-1]], closes[segment[0]]):
            changes.add(segment[0])
        level = segment
    return spikes, changes


def _segments(slots: Sequence[int], jumps: Sequence[int]) -> Iterator[tuple[range, bool]]:
    """The ranges of positions between jumps, and whether the time before each is too long to compare prices."""
    is_far = [False, *(after - before > NEIGHBOR_WIDTHS for before, after in pairwise(slots))]
    starts = sorted({0, *jumps, *(place for place, far in enumerate(is_far) if far)})
    for start, end in pairwise([*starts, len(slots)]):
        yield range(start, end), start == 0 or is_far[start]


def _is_jump(before: float, after: float) -> bool:
    return after > JUMP * before or before > JUMP * after
