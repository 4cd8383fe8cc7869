"""Validation of quotes, and parsing of candles, between an exchange's response and the database."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from coinwatch.exchanges.models import Instrument, Quote, RawCandle, RejectedQuote, RejectionReason

# Prices outside these bounds come from a broken feed; within them no percentage overflows a double.
LOWEST_PRICE = 1e-18
HIGHEST_PRICE = 1e15
HIGHEST_VOLUME = 1e24
FAR_FROM_BOOK = 10  # times the best bid or ask: a shifted decimal point, or another pair's price
MAX_RAW_LENGTH = 120


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
    """A Quote from raw values (numbers or text), or a RejectedQuote with the reason.

    Only the price can cause a rejection: invalid on its own, or ten times off both the best bid and the best ask. An
    invalid volume, bid or ask becomes None. ``observed_at`` defaults to
    ``received_at``; both must be timezone-aware.
    """
    number = parse_number(price)
    if number is None:
        return reject(instrument, RejectionReason.NOT_A_NUMBER, price)
    reason = _rejection_reason(number)
    if reason is not None:
        return reject(instrument, reason, price)
    best_bid, best_ask = _parse_if(bid, _is_price), _parse_if(ask, _is_price)
    if best_bid and best_ask and not best_bid / FAR_FROM_BOOK < number < best_ask * FAR_FROM_BOOK:
        return reject(instrument, RejectionReason.IMPLAUSIBLE, f"{price} with bid {bid} and ask {ask}")
    return Quote(
        instrument=instrument,
        price=number,
        observed_at=(observed_at or received_at).astimezone(UTC),
        received_at=received_at.astimezone(UTC),
        volume_24h=_parse_if(volume_24h, _is_volume),
        bid=best_bid,
        ask=best_ask,
    )


def parse_candle(
    opened_at: datetime,
    prices: Sequence[object],
    volume: object = None,
    trades: object = None,
    quote_volume: object = None,
) -> RawCandle:
    """A candle from an exchange's [open, high, low, close]; what is not a number becomes None.

    Whether the numbers make sense is up to ``prices.candle_validation``, as for files.
    """
    opening, high, low, close = map(parse_number, prices)
    return RawCandle(
        opened_at.astimezone(UTC), opening, high, low, close, parse_number(volume), trades, parse_number(quote_volume)
    )


def reject(instrument: Instrument, reason: RejectionReason, raw: object) -> RejectedQuote:
    """A RejectedQuote with the start of the raw value."""
    return RejectedQuote(instrument.exchange, instrument.symbol, reason, repr(raw)[:MAX_RAW_LENGTH])


def _rejection_reason(price: float) -> RejectionReason | None:
    if not math.isfinite(price):
        return RejectionReason.NOT_FINITE
    if price <= 0:
        return RejectionReason.NOT_POSITIVE
    if not LOWEST_PRICE <= price <= HIGHEST_PRICE:
        return RejectionReason.IMPLAUSIBLE
    return None


def _is_price(number: float) -> bool:
    return _rejection_reason(number) is None


def _is_volume(number: float) -> bool:
    return 0 <= number <= HIGHEST_VOLUME


def _parse_if(value: object, is_valid: Callable[[float], bool]) -> float | None:
    number = parse_number(value)
    return number if number is not None and is_valid(number) else None


def parse_number(value: object) -> float | None:
    """A number, or the number in a text such as ``1.5e-3``; None for anything else."""
    if isinstance(value, bool) or value is None or (isinstance(value, str) and "_" in value):  # float("1_0") is 10.0
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
