"""Validation of a file's candles, and the progress of an import."""

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
class ImportProgress:
    """The progress of file ``number`` of ``files``: its contents, the fraction read (0 to 1), and its rows.

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
        """The number of rows read so far."""
        return self.passed + self.rejected.total()

    def reject(self, line: int, reason: str, raw: object) -> None:
        self.rejected[reason] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"line {line} {reason}: {str(raw)[:RAW_LENGTH]}")


Report = Callable[[ImportProgress], None]


class CandleValidator:
    """Validates candles of one resolution, and counts valid and rejected rows in ``progress``."""

    def __init__(self, resolution: Resolution, now: datetime, progress: ImportProgress) -> None:
        self.progress = progress
        self._resolution = resolution
        self._width = WIDTHS[resolution]
        self._last = now - self._width

    def validate(
        self,
        line: int,
        opened_at: datetime,
        prices: Sequence[object],
        volume: object,
        trades: object,
    ) -> Candle | None:
        """The candle; None if it is invalid or not complete yet, which is counted with the reason."""
        if floor_to(opened_at, self._width) != opened_at:
            self.progress.reject(line, f"does not open on a {self._resolution} boundary", opened_at.isoformat())
        elif opened_at > self._last:
            self.progress.reject(line, "is not complete yet", opened_at.isoformat())
        elif opened_at < EARLIEST:
            self.progress.reject(line, f"is before {EARLIEST:%Y}", opened_at.isoformat())
        else:
            try:
                candle = validate_candle(opened_at, prices, volume, trades)
            except ValueError as error:
                self.progress.reject(line, f"is invalid, {error}", ",".join(map(str, prices)))
            else:
                self.progress.passed += 1
                return candle
        return None
