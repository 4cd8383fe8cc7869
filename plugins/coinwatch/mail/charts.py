"""The picture in a mail: an instrument's last 24 hours."""

from datetime import datetime

from sqlalchemy import Engine


class Charts:
    """Pictures for one run of the sender; the same picture for everybody who hears of the same value."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, instrument_id: int, until: datetime) -> bytes | None:
        """A PNG of the 24 hours up to a moment; None where there is nothing to show."""
        return None
