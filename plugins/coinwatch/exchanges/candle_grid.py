"""From an exchange's rows to complete candles in order."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from pydantic import ValidationError

from coinwatch.exchanges.models import Instrument, RawCandle
from coinwatch.time_range import TimeRange

MAX_LOGGED_LENGTH = 120

log = structlog.get_logger(__name__)


def parse_candles(
    instrument: Instrument, rows: Iterable[object], parse: Callable[[object], RawCandle]
) -> list[RawCandle]:
    """The rows as candles; a row for which ``parse`` raises ValueError is logged and left out."""
    candles = []
    for row in rows:
        try:
            candles.append(parse(row))
        except ValueError as error:
            log.warning(
                "candle rejected",
                exchange=instrument.exchange,
                symbol=instrument.symbol,
                reason="malformed" if isinstance(error, ValidationError) else str(error),
                raw=repr(row)[:MAX_LOGGED_LENGTH],
            )
    return candles


def complete_candles(
    candles: Sequence[RawCandle], interval_seconds: int, time_range: TimeRange, now: datetime
) -> list[RawCandle]:
    """The candles that opened in ``time_range`` and ended by ``now``, oldest first, without duplicates."""
    interval = timedelta(seconds=interval_seconds)
    by_opening = {
        candle.opened_at: candle
        for candle in candles
        if candle.opened_at in time_range and candle.opened_at + interval <= now
    }
    return [by_opening[opened_at] for opened_at in sorted(by_opening)]
