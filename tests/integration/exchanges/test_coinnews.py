"""What is particular to coinnews."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from coinwatch.exchanges.coinnews import Coinnews
from coinwatch.exchanges.models import Exchange, Instrument, RejectionReason
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T11:59:58Z", datetime(2026, 11, 20, 11, 59, 58, tzinfo=UTC)),
        ("2026-11-20T11:59:58.5Z", datetime(2026, 11, 20, 11, 59, 58, 500_000, tzinfo=UTC)),
        ("2026-11-20T11:59:58.123456789Z", datetime(2026, 11, 20, 11, 59, 58, 123_456, tzinfo=UTC)),
        ("2026-11-20T13:59:58.25+02:00", datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)),
    ],
)
def test_its_times_are_read_with_any_number_of_digits_and_any_offset(
    text: str,
    moment: datetime,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.market.set_price("coinnews", "BTC", "USD", 5.0, at=text)
    adapter = open_adapter("coinnews")

    assert [each.observed_at for each in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes] == [moment]


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-20 11:59:58", "2026-13-01T00:00:00Z"])
def test_a_time_that_is_none_refuses_the_quote(
    text: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price("coinnews", "BTC", "USD", 5.0, at=text)
    adapter = open_adapter("coinnews")

    assert [each.reason for each in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).rejected] == [
        RejectionReason.MALFORMED
    ]


def test_no_history_is_an_empty_one(open_adapter: OpenAdapter, instrument_of: InstrumentOf) -> None:
    adapter = open_adapter("coinnews")
    assert isinstance(adapter, Coinnews)

    assert not adapter.fetch_history(instrument_of(adapter, "BTC")).quotes
    assert [each.reason for each in adapter.fetch_history(instrument_of(adapter, "NONE")).rejected] == [
        RejectionReason.UNKNOWN_SYMBOL
    ]


def test_its_history_comes_oldest_first_without_its_broken_points(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    points = [
        {"value": 3.0, "date": "2026-11-20T11:03:00Z"},
        {"value": 1.0, "date": "2026-11-20T11:01:00Z"},
        {"value": 0, "date": "2026-11-20T11:02:00Z"},
        {"value": 4.0},
    ]
    exchange_server.fail("coinnews", "json", body=points, path="/history")
    adapter = open_adapter("coinnews")
    assert isinstance(adapter, Coinnews)

    history = adapter.fetch_history(instrument_of(adapter, "BTC"))

    assert [quote.price for quote in history.quotes] == [1.0, 3.0]
    assert [each.reason for each in history.rejected] == [RejectionReason.NOT_POSITIVE, RejectionReason.MALFORMED]


def test_it_knows_dollars_only(open_adapter: OpenAdapter, instrument_of: InstrumentOf) -> None:
    adapter = open_adapter("coinnews")

    assert [each.reason for each in adapter.fetch_quotes([instrument_of(adapter, "BTC", "EUR")]).rejected] == [
        RejectionReason.UNKNOWN_SYMBOL
    ]
