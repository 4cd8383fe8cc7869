"""The contract for quotes: one suite against every adapter."""

import logging
import math
import time
from datetime import UTC, timedelta
from urllib.parse import quote

import pytest

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.models import RejectionReason
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import COINS, EXCHANGES, QUOTE_CURRENCIES
from tests.support.adapters import NOW, QUOTE_PATH, InstrumentOf, OpenAdapter
from tests.support.ports import free_port

WITHOUT_TIMESTAMP = {"kraken"}
WITHOUT_BID_AND_ASK = {"coinnews", "coingecko"}


pytestmark = pytest.mark.parametrize("code", EXCHANGES)


def test_quote_has_price_base_volume_bid_ask_and_timestamp(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    observed_at = NOW - timedelta(seconds=40)
    exchange_server.market.set_price(
        code, "BTC", QUOTE_CURRENCIES[code], 50_000.25, at=observed_at, volume=12.5, bid=50_000.0, ask=50_001.0
    )
    adapter = open_adapter(code)
    instrument = instrument_of(adapter, "BTC")

    batch = adapter.fetch_quotes([instrument])

    (quote,) = batch.quotes
    assert quote.instrument == instrument
    assert quote.price == 50_000.25
    assert quote.received_at == NOW
    assert quote.observed_at == (NOW if code in WITHOUT_TIMESTAMP else observed_at)
    assert quote.observed_at.tzinfo is UTC
    assert quote.volume_24h == pytest.approx(12.5)
    assert (quote.bid, quote.ask) == ((None, None) if code in WITHOUT_BID_AND_ASK else (50_000.0, 50_001.0))
    assert not batch.rejected
    assert batch.error is None


def test_derived_symbol_is_listed_by_the_exchange(
    code: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in COINS])

    assert {quote.instrument.base for quote in batch.quotes} == set(COINS)


def test_each_of_two_hundred_instruments_gets_its_own_price(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate(code, 200)
    prices = {f"{each.base}/{each.quote}": each.price for each in exchange_server.market.listings(code)}
    adapter = open_adapter(code)

    batch = adapter.fetch_quotes([instrument_of(adapter, *pair.split("/")) for pair in pairs])

    assert {quote.instrument.pair: quote.price for quote in batch.quotes} == prices
    assert not batch.rejected


def test_no_instruments_make_no_request(code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter) -> None:
    assert not open_adapter(code).fetch_quotes([]).quotes
    assert not exchange_server.requests(code)


@pytest.mark.parametrize(
    ("price", "reason", "reason_through_ccxt"),
    [
        pytest.param(0.0, RejectionReason.NOT_POSITIVE, RejectionReason.NOT_A_NUMBER, id="zero"),
        pytest.param(-1.5, RejectionReason.NOT_POSITIVE, RejectionReason.NOT_POSITIVE, id="negative"),
        pytest.param(math.nan, RejectionReason.NOT_FINITE, RejectionReason.NOT_A_NUMBER, id="nan"),
        pytest.param(math.inf, RejectionReason.NOT_FINITE, RejectionReason.NOT_A_NUMBER, id="inf"),
        pytest.param(1e300, RejectionReason.IMPLAUSIBLE, RejectionReason.IMPLAUSIBLE, id="huge"),
        pytest.param(1e-30, RejectionReason.IMPLAUSIBLE, RejectionReason.IMPLAUSIBLE, id="tiny"),
        pytest.param("abc", RejectionReason.NOT_A_NUMBER, RejectionReason.MALFORMED, id="text"),
        pytest.param("", RejectionReason.NOT_A_NUMBER, RejectionReason.NOT_A_NUMBER, id="empty"),
        pytest.param("1_000", RejectionReason.NOT_A_NUMBER, RejectionReason.NOT_A_NUMBER, id="underscore"),
        pytest.param(None, RejectionReason.NOT_A_NUMBER, RejectionReason.NOT_A_NUMBER, id="null"),
    ],
)
def test_invalid_price_is_rejected_with_its_raw_value(
    price: float | str | None,
    reason: RejectionReason,
    reason_through_ccxt: RejectionReason,
    code: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.market.set_price(code, "ETH", QUOTE_CURRENCIES[code], price)
    adapter = open_adapter(code)

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "SOL")])

    assert sorted(quote.instrument.base for quote in batch.quotes) == ["BTC", "SOL"]
    (rejected,) = batch.rejected
    assert rejected.exchange == code
    assert rejected.symbol == adapter.symbol_for("ETH", QUOTE_CURRENCIES[code])
    assert rejected.reason is (reason_through_ccxt if code == "bitstamp" else reason)
    assert rejected.raw


def test_invalid_volume_bid_and_ask_are_dropped_but_the_price_is_kept(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price(
        code, "BTC", QUOTE_CURRENCIES[code], 100.0, volume=math.nan, bid=-1.0, ask=math.inf
    )
    adapter = open_adapter(code)

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

    assert quote.price == 100.0
    assert (quote.volume_24h, quote.bid, quote.ask) == (None, None, None)


@pytest.mark.parametrize("factor", [1e-6, 0.05, 20, 1e6])
def test_price_far_from_bid_and_ask_is_rejected(
    factor: float, code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    if code in WITHOUT_BID_AND_ASK:
        pytest.skip(f"{code} sends no bid and ask")
    exchange_server.market.set_price(code, "BTC", QUOTE_CURRENCIES[code], 50_000 * factor, bid=49_990.0, ask=50_010.0)
    adapter = open_adapter(code)

    batch = adapter.fetch_quotes([instrument_of(adapter, "BTC"), instrument_of(adapter, "ETH")])

    assert [quote.instrument.base for quote in batch.quotes] == ["ETH"]
    assert [each.reason for each in batch.rejected] == [RejectionReason.IMPLAUSIBLE]


@pytest.mark.parametrize("price", [20_000.0, 80_000.0])
def test_price_outside_a_wide_spread_is_kept(
    price: float, code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price(code, "BTC", QUOTE_CURRENCIES[code], price, bid=30_000.0, ask=70_000.0)
    adapter = open_adapter(code)

    assert [quote.price for quote in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes] == [price]


def test_unknown_symbols_are_rejected_individually(
    code: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)
    bases = ("BTC", "NOSUCHCOIN", "ETH", "NORTHISONE")

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in bases])

    assert [quote.instrument.base for quote in batch.quotes] == ["BTC", "ETH"]
    assert {(each.symbol, each.reason) for each in batch.rejected} == {
        (adapter.symbol_for(base, QUOTE_CURRENCIES[code]), RejectionReason.UNKNOWN_SYMBOL)
        for base in ("NOSUCHCOIN", "NORTHISONE")
    }
    assert batch.error is None


def test_batch_of_unknown_symbols_is_not_an_error(
    code: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)

    batch = adapter.fetch_quotes([instrument_of(adapter, "NOSUCHCOIN")])

    assert not batch.quotes
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]


def test_parsing_is_deterministic(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price(code, "BTC", QUOTE_CURRENCIES[code], 7.5, at=NOW - timedelta(minutes=1))
    adapter = open_adapter(code)

    first, second = (adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes for _ in range(2))

    assert first == second


def test_decreasing_timestamp_is_kept(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    if code in WITHOUT_TIMESTAMP:
        pytest.skip(f"{code} sends no timestamps")
    adapter = open_adapter(code)
    times = []
    for minutes in (1, 5):
        exchange_server.market.set_price(code, "BTC", QUOTE_CURRENCIES[code], 7.5, at=NOW - timedelta(minutes=minutes))
        (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes
        times.append(quote.observed_at)

    assert times == [NOW - timedelta(minutes=1), NOW - timedelta(minutes=5)]


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [
        (429, "17", 17),
        (429, "Fri, 20 Nov 2026 12:01:00 GMT", 30),
        (429, None, 60),
        (429, "soon", 60),
        (429, "-5", 60),
        (429, "0", 1),
        (429, "Fri, 20 Nov 2020 12:01:00 GMT", 1),
        (429, "9" * 20, 3600),
        (418, "259200", 259_200),
        (418, None, 120),
        (418, "99999999", 259_200),
        (503, "30", 30),
    ],
)
def test_rate_limit_response_sets_blocked_until(
    status: int,
    retry_after: str | None,
    seconds: int,
    code: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    exchange_server.fail(code, "status", status=status, headers=headers, body={"error": "slow down"})
    adapter = open_adapter(code)

    with pytest.raises(RateLimited) as caught:
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert caught.value.blocked_until == NOW + timedelta(seconds=seconds)
    assert caught.value.exchange == code
    assert len(exchange_server.requests(code)) == 1


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (451, "coinwatch exchanges disable {code}"),
        (401, "COINWATCH_EXCHANGES__{CODE}__API_KEY"),
        (403, "coinwatch exchanges disable {code}"),
    ],
)
def test_denied_request_error_includes_the_fix(
    status: int,
    fix: str,
    code: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.fail(code, "status", status=status, body={"error": "no"})
    adapter = open_adapter(code)

    with pytest.raises(ExchangeDenied) as caught:
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert fix.format(code=code, CODE=code.upper()) in str(caught.value)


def test_redirects_are_not_followed(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    other = next(each for each in EXCHANGES if each != code)
    exchange_server.fail(
        code, "status", status=302, headers={"Location": f"{exchange_server.base_url(other)}/api"}, body=""
    )
    adapter = open_adapter(code)

    with pytest.raises(ExchangeDenied, match="base_url"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert not exchange_server.requests(other)


@pytest.mark.parametrize("kind", ["cut_off", "truncated", "html", "endless"])
@pytest.mark.parametrize("path", ["", "quote"])
def test_malformed_response_is_retryable(
    path: str,
    kind: str,
    code: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.fail(code, kind, path=QUOTE_PATH[code] if path else "")
    adapter = open_adapter(code, timeout_seconds=0.5)

    with pytest.raises(ExchangeUnavailable):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    exchange_server.faults.clear()
    assert adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_server_error_is_retryable(
    status: int, code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(code, "status", status=status, body="Bad Gateway")
    adapter = open_adapter(code)

    with pytest.raises(ExchangeUnavailable):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


@pytest.mark.parametrize("kind", ["timeout", "drip", "drip_headers"])
def test_endless_response_is_aborted_at_the_timeout(
    kind: str, code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(code, kind)
    adapter = open_adapter(code, timeout_seconds=0.5)
    started = time.monotonic()

    with pytest.raises(ExchangeUnavailable, match=r"no complete response from .* within 0\.5 s"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert time.monotonic() - started < 20, "including slack for a busy machine"


def test_connection_error_names_the_host_and_is_retryable(
    code: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    port = free_port()
    adapter = open_adapter(code, base_url=f"http://127.0.0.1:{port}")

    with pytest.raises(ExchangeUnavailable, match=rf"127\.0\.0\.1:{port} cannot be reached \(Connection refused\)"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


def test_api_key_is_not_in_errors_or_logs(
    code: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "CG-very-secret/4711"
    adapter = open_adapter(code, api_key=secret)
    texts = []
    with caplog.at_level(logging.DEBUG):
        for status in (400, 401, 402, 403, 404, 413, 422, 429, 500):
            exchange_server.faults.clear()
            body = {"error": f"bad key {secret}, {quote(secret)}, https://{quote(secret)}@host/path?key={secret}"}
            exchange_server.fail(code, "status", status=status, body=body)
            try:
                batch = adapter.fetch_quotes([instrument_of(adapter, "BTC")])
                texts += [repr(batch)]
            except ExchangeError as error:
                texts += [str(error), repr(error), repr(error.__cause__)]

    assert texts
    assert not [text for text in [*texts, caplog.text] if "very-secret" in text]


def test_requests_send_our_user_agent_without_cookies(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(code, "status", status=500, headers={"Set-Cookie": "track=1; Path=/"}, times=1)
    adapter = open_adapter(code)
    with pytest.raises(ExchangeUnavailable):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])
    adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    for request in exchange_server.requests(code):
        assert request.headers["user-agent"].startswith("coinwatch/")
        assert "cookie" not in request.headers
