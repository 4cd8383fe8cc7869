"""The progress of an import."""

from collections.abc import Callable
from dataclasses import dataclass, field

from coinwatch.prices.candle_validation import ValidationReport
from coinwatch.prices.candles.storage import StoreResult


@dataclass(slots=True)
class ImportProgress:
    """The progress of file ``number`` of ``files``: its contents, the fraction read (0 to 1), and its rows."""

    path: str
    number: int = 1
    files: int = 1
    contents: str = ""
    part: float = 0.0
    stored: StoreResult = field(default_factory=StoreResult)
    validation: ValidationReport = field(default_factory=ValidationReport)

    @property
    def rows(self) -> int:
        """The number of rows read so far."""
        return self.validation.rows

    def reject(self, line: int, reason: str, raw: object) -> None:
        """Count a row that cannot be read as a candle or price."""
        self.validation.rows += 1
        self.validation.reject(line, reason, raw)


Report = Callable[[ImportProgress], None]
