"""Where a client is in the stream: the id of its last event."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Position:
    """When the newest known price was received, and when the newest known alert fired; the epoch if there is none.

    Positions are derived from data, so that a client can continue at another server, or after a restart.
    """

    prices: datetime = EPOCH
    alerts: datetime = EPOCH

    def __str__(self) -> str:
        """The id of an event: microseconds since 1970, separated by a hyphen."""
        return f"{(self.prices - EPOCH) // MICROSECOND}-{(self.alerts - EPOCH) // MICROSECOND}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The position with this id; None if it is not one of ours."""
        found = re.fullmatch(r"([0-9]{1,17})-([0-9]{1,17})", text)
        if found is None:
            return None
        try:
            return cls(*(EPOCH + int(part) * MICROSECOND for part in found.groups()))
        except OverflowError:
            return None
