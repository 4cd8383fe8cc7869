"""The gate a file's candles pass, and the count of what passed and what did not."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from coinwatch.exchanges.models import Candle
from coinwatch.exchanges.validation import validate_candle
from coinwatch.prices.candles.resolutions import WIDTHS, Resolution
from coinwatch.prices.candles.storage import StoreResult
from coinwatch.prices.candles.time_grid import EARLIEST
from coinwatch.time_range import floor_to

EXAMPLES = 5
RAW_LENGTH = 80


@dataclass(slots=True)
class Progress:
    """How far the ``number``th of so many files is: what it holds, the part that has been read (0 to 1), its rows.

    ``rejected`` counts rows by reason; ``examples`` are the first of them, with their line and raw value.
    """

    path: str
    number: int = 1
    files: int = 1
    contents: str = ""
    part: float = 0.0
    passed: int = 0
    stored: StoreResult = field(default_factory=StoreResult)
    rejected: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows looked at so far."""
        return self.passed + self.rejected.total()

    def reject(self, line: int, reason: str, raw: object) -> None:
        self.rejected[reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"line {line} {reason}: {str(raw)[:RAW_LENGTH]}")


Report = Callable[[Progress], None]


class Gate:
    """Lets complete candles on the grid of ``resolution`` through to ``validate_candle``; the rest is counted."""

    def __init__(self, resolution: Resolution, now: datetime, done: Progress) -> None:
        self.done = done
        self._resolution = resolution
        self._width = WIDTHS[resolution]
        self._last = now - self._width

    def check(
        self,
        line: int,
        opened_at: datetime,
        prices: Sequence[object],
        volume: object,
        trades: object,
    ) -> Candle | None:
        """The candle; None, and counted with its reason, if it cannot be one or is not over yet."""
        if floor_to(opened_at, self._width) != opened_at:
            self.done.reject(line, f"does not open on a {self._resolution} boundary", opened_at.isoformat())
        elif opened_at > self._last:
            self.done.reject(line, "is not over yet", opened_at.isoformat())
        elif opened_at < EARLIEST:
            self.done.reject(line, f"lies before {EARLIEST:%Y}, before there was any coin", opened_at.isoformat())
        else:
            try:
                candle = validate_candle(opened_at, prices, volume, trades)
            except ValueError as error:
                self.done.reject(line, f"is rejected, {error}", ",".join(map(str, prices)))
            else:
                self.done.passed += 1
                return candle
        return None
