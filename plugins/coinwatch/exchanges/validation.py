"""The one gate every quote passes between an exchange's answer and our tables."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from coinwatch.exchanges.models import Candle, Instrument, Quote, RejectedQuote, RejectionReason

# A price outside these bounds is a broken feed; within them no percentage can overflow a double.
LOWEST_PRICE = 1e-18
HIGHEST_PRICE = 1e15
HIGHEST_VOLUME = 1e24
RAW_LENGTH = 120
OHLC = 4


def validate_quote(
    instrument: Instrument,
    price: object,
    received_at: datetime,
    observed_at: datetime | None = None,
    *,
    volume_24h: object = None,
    bid: object = None,
    ask: object = None,
) -> Quote | RejectedQuote:
    """A Quote from raw values (numbers or strings), or the reason against it.

    Only the price decides: a nonsensical volume, bid or ask becomes None. ``observed_at`` defaults to
    ``received_at``; both must be aware.
    """
    number = _number(price)
    if number is None:
        return reject(instrument, RejectionReason.NOT_A_NUMBER, price)
    problem = _price_problem(number)
    if problem is not None:
        return reject(instrument, problem, price)
    return Quote(
        instrument=instrument,
        price=number,
        observed_at=(observed_at or received_at).astimezone(UTC),
        received_at=received_at.astimezone(UTC),
        volume_24h=_within(volume_24h, lambda volume: 0 <= volume <= HIGHEST_VOLUME),
        bid=_within(bid, lambda price: _price_problem(price) is None),
        ask=_within(ask, lambda price: _price_problem(price) is None),
    )


def validate_candle(
    opened_at: datetime, prices: Sequence[object], volume: object = None, trades: object = None
) -> Candle:
    """A Candle from raw [open, high, low, close]; ValueError says why it cannot be one.

    A nonsensical volume or number of trades becomes None.
    """
    numbers = [number for number in map(_number, prices) if number is not None and _price_problem(number) is None]
    if len(numbers) != OHLC:
        raise ValueError("a price is missing or out of bounds")
    opening, high, low, close = numbers
    if not (low <= opening <= high and low <= close <= high):
        raise ValueError("the prices contradict each other")
    return Candle(
        opened_at=opened_at.astimezone(UTC),
        open=opening,
        high=high,
        low=low,
        close=close,
        volume=_within(volume, lambda number: 0 <= number <= HIGHEST_VOLUME),
        trades=trades if isinstance(trades, int) and not isinstance(trades, bool) and trades >= 0 else None,
    )


def reject(instrument: Instrument, reason: RejectionReason, raw: object) -> RejectedQuote:
    """A RejectedQuote that carries the start of the raw value."""
    return RejectedQuote(instrument.exchange, instrument.symbol, reason, repr(raw)[:RAW_LENGTH])


def _price_problem(price: float) -> RejectionReason | None:
    if not math.isfinite(price):
        return RejectionReason.NOT_FINITE
    if price <= 0:
        return RejectionReason.NOT_POSITIVE
    if not LOWEST_PRICE <= price <= HIGHEST_PRICE:
        return RejectionReason.IMPLAUSIBLE
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or value is None or (isinstance(value, str) and "_" in value):  # Python reads 1_0 as 10
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


def _within(value: object, acceptable: Callable[[float], bool]) -> float | None:
    number = _number(value)
    return number if number is not None and acceptable(number) else None
