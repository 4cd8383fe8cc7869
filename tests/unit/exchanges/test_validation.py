"""Which values become a quote, and which are rejected."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.exchanges.models import Instrument, Quote, RejectedQuote, RejectionReason
from coinwatch.exchanges.validation import HIGHEST_PRICE, LOWEST_PRICE, parse_candle, validate_quote

INSTRUMENT = Instrument("kraken", "BTC", "USD", "XBTUSD")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PRICES = st.floats(LOWEST_PRICE, HIGHEST_PRICE)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)


@given(price=PRICES)
def test_prices_are_exact_whether_numbers_or_text(price: float) -> None:
    for raw in (price, repr(price), f" {price!r}\n"):
        quote = validate_quote(INSTRUMENT, raw, NOW)
        assert isinstance(quote, Quote)
        assert quote.price == price


@given(raw=ANYTHING, volume=ANYTHING, bid=ANYTHING, ask=ANYTHING)
def test_any_value_gives_a_valid_quote_or_a_rejection(raw: object, volume: object, bid: object, ask: object) -> None:
    result = validate_quote(INSTRUMENT, raw, NOW, volume_24h=volume, bid=bid, ask=ask)

    if isinstance(result, RejectedQuote):
        assert result.raw == repr(raw)[:120]
        return
    assert math.isfinite(result.price)
    assert result.price > 0
    for number in (result.volume_24h, result.bid, result.ask):
        if number is not None:
            assert math.isfinite(number)
            assert number >= 0


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (None, RejectionReason.NOT_A_NUMBER),
        (True, RejectionReason.NOT_A_NUMBER),
        ("", RejectionReason.NOT_A_NUMBER),
        ("1_000", RejectionReason.NOT_A_NUMBER),
        ([1], RejectionReason.NOT_A_NUMBER),
        (10**400, RejectionReason.NOT_A_NUMBER),
        ("NaN", RejectionReason.NOT_FINITE),
        (math.inf, RejectionReason.NOT_FINITE),
        ("1e999", RejectionReason.NOT_FINITE),
        (0, RejectionReason.NOT_POSITIVE),
        ("-0.0", RejectionReason.NOT_POSITIVE),
        (-1, RejectionReason.NOT_POSITIVE),
        (1e16, RejectionReason.IMPLAUSIBLE),
        (1e-19, RejectionReason.IMPLAUSIBLE),
    ],
)
def test_invalid_price_is_rejected_with_its_reason(raw: object, reason: RejectionReason) -> None:
    result = validate_quote(INSTRUMENT, raw, NOW)

    assert isinstance(result, RejectedQuote)
    assert result.reason is reason


def test_timestamps_are_utc_and_default_to_the_receive_time() -> None:
    elsewhere = timezone(timedelta(hours=5))
    received_at = NOW.astimezone(elsewhere)

    quote = validate_quote(INSTRUMENT, 1, received_at)

    assert isinstance(quote, Quote)
    assert quote.observed_at == quote.received_at == NOW
    assert quote.observed_at.tzinfo is quote.received_at.tzinfo is UTC


def test_candle_keeps_numbers_and_has_none_for_anything_else() -> None:
    candle = parse_candle(NOW, ("1.5", 2, None, "high"), True, 7, "3e2")

    assert candle == (NOW, 1.5, 2.0, None, None, None, 7, 300.0, 0)
