"""Behavior specific to Kraken."""

from datetime import timedelta

import pytest

from coinwatch.errors import ConfigurationError, ExchangeDenied, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.models import Instrument, RejectionReason
from coinwatch.time_range import TimeRange
from tests.exchange_server import ExchangeServer
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("EAPI:Rate limit exceeded", RateLimited),
        ("EGeneral:Too many requests", RateLimited),
        ("EGeneral:Temporary lockout", RateLimited),
        ("EService:Unavailable", ExchangeUnavailable),
        ("EService:Busy", ExchangeUnavailable),
        ("EGeneral:Internal error", ExchangeUnavailable),
        ("EGeneral:Invalid arguments", ExchangeDenied),
        ("EGeneral:Permission denied", ExchangeDenied),
    ],
)
def test_error_with_status_200_raises(
    error: str,
    kind: type[Exception],
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.fail("kraken", "json", body={"error": [error]})
    adapter = open_adapter("kraken")

    with pytest.raises(kind, match=error.partition(":")[2]):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


@pytest.mark.parametrize(("seconds", "expected"), [(25, 25), (99_999, 3600), (-5, 1)])
def test_throttled_error_sets_blocked_until(
    seconds: int,
    expected: int,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    until = int(NOW.timestamp()) + seconds
    exchange_server.fail("kraken", "json", body={"error": [f"EService:Throttled: {until}"]})
    adapter = open_adapter("kraken")

    with pytest.raises(RateLimited) as caught:
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert caught.value.blocked_until == NOW + timedelta(seconds=expected)


def test_warning_does_not_raise(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    ticker = {"error": ["WDatabase:No change"], "result": {"XXBTZUSD": {"c": ["5.0", "1"]}}}
    exchange_server.fail("kraken", "json", body=ticker, path="/Ticker")
    adapter = open_adapter("kraken")

    assert [quote.price for quote in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes] == [5.0]


@pytest.mark.parametrize("symbol", ["XBTUSD", "XXBTZUSD", "XBT/USD", "BTCUSD"])
def test_bitcoin_is_found_under_all_its_names(symbol: str, open_adapter: OpenAdapter) -> None:
    instrument = Instrument("kraken", "BTC", "USD", symbol)

    (quote,) = open_adapter("kraken").fetch_quotes([instrument]).quotes

    assert quote.instrument == instrument
    assert quote.price == 96_000.0


def test_last_candle_is_dropped_even_after_its_end(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    first = int(NOW.timestamp()) // 60 * 60 - 600
    rows = [[first + 60 * index, "2.0", "3.0", "1.0", "2.5", "2.2", "10.0", 4] for index in range(3)]
    exchange_server.fail("kraken", "json", body={"error": [], "result": {"XXBTZUSD": rows, "last": first + 60}})
    adapter = open_adapter("kraken")

    found = adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, TimeRange(NOW - timedelta(hours=1), NOW))

    assert [each.opened_at.timestamp() for each in found] == [first, first + 60]


def test_symbol_uses_kraken_codes(open_adapter: OpenAdapter) -> None:
    adapter = open_adapter("kraken")

    assert adapter.symbol_for("BTC", "USD") == "XBTUSD"
    assert adapter.symbol_for("ETH", "BTC") == "ETHXBT"
    assert adapter.symbol_for("DOGE", "USD") == "XDGUSD"


def test_luna_is_not_the_price_of_terra_classic(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price("kraken", "LUNC", "USD", 0.00006)
    exchange_server.market.set_price("kraken", "LUNA", "USD", 0.15)
    adapter = open_adapter("kraken")

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("LUNC", "LUNA")])

    assert {quote.instrument.base: quote.price for quote in batch.quotes} == {"LUNC": 0.00006, "LUNA": 0.15}
    assert {quote.instrument.base: quote.instrument.symbol for quote in batch.quotes} == {
        "LUNC": "LUNAUSD",
        "LUNA": "LUNA2USD",
    }


def test_symbol_of_another_coin_is_rejected(exchange_server: ExchangeServer, open_adapter: OpenAdapter) -> None:
    exchange_server.market.set_price("kraken", "LUNC", "USD", 0.00006)
    outdated = Instrument("kraken", "LUNA", "USD", "LUNAUSD")

    batch = open_adapter("kraken").fetch_quotes([outdated])

    assert not batch.quotes
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]


def test_code_that_kraken_uses_for_another_coin_is_rejected(open_adapter: OpenAdapter) -> None:
    with pytest.raises(ConfigurationError, match=r"exchanges\.kraken\.instruments: UST means USTC there"):
        open_adapter("kraken").symbol_for("UST", "USD")


def test_quotes_take_two_calls(
    exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter("kraken")

    adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "DOGE")])

    assert len(exchange_server.requests("kraken")) == 2
