"""Behavior specific to coinnews."""

from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import UnknownSymbol
from coinwatch.exchanges.models import RejectionReason
from coinwatch.time_range import TimeRange
from tests.exchange_server import ExchangeServer
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T11:59:58Z", datetime(2026, 11, 20, 11, 59, 58, tzinfo=UTC)),
        ("2026-11-20T11:59:58.5Z", datetime(2026, 11, 20, 11, 59, 58, 500_000, tzinfo=UTC)),
        ("2026-11-20T11:59:58.123456789Z", datetime(2026, 11, 20, 11, 59, 58, 123_456, tzinfo=UTC)),
        ("2026-11-20T13:59:58.25+02:00", datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)),
    ],
)
def test_timestamps_with_any_fraction_and_offset_are_parsed(
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
def test_quote_with_invalid_timestamp_is_rejected(
    text: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price("coinnews", "BTC", "USD", 5.0, at=text)
    adapter = open_adapter("coinnews")

    assert [each.reason for each in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).rejected] == [
        RejectionReason.MALFORMED
    ]


def test_compatible_api_without_volumes_and_candles_has_no_history(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail("coinnews", "status", path="/candles", status=404)
    adapter = open_adapter("coinnews")
    instrument = instrument_of(adapter, "BTC")

    assert adapter.fetch_candles(instrument, 60, TimeRange(NOW - timedelta(hours=1), NOW)) == []
    with pytest.raises(UnknownSymbol):
        adapter.fetch_candles(instrument_of(adapter, "NOSUCHCOIN"), 60, TimeRange(NOW - timedelta(hours=1), NOW))


def test_only_usd_is_supported(open_adapter: OpenAdapter, instrument_of: InstrumentOf) -> None:
    adapter = open_adapter("coinnews")

    assert [each.reason for each in adapter.fetch_quotes([instrument_of(adapter, "BTC", "EUR")]).rejected] == [
        RejectionReason.UNKNOWN_SYMBOL
    ]
