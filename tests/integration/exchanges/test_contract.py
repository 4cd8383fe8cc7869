"""What holds for every exchange, whichever way it speaks: one suite against every adapter."""

import logging
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.models import Exchange, Instrument, RejectionReason
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTES, VENUES
from tests.support.ports import free_port

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
WITHOUT_TIME = {"kraken"}
WITHOUT_VOLUME = {"coinnews"}
WITHOUT_BID_AND_ASK = {"coinnews", "coingecko"}
# Where the price comes from, as the far end sees the path: the call to spoil when others must still work.
QUOTE_PATH = {
    "coinnews": "/api/data/BTC",
    "coingecko": "/simple/price",
    "binance": "/ticker/24hr",
    "coinbase": "/ticker",
    "kraken": "/Ticker",
    "bitstamp": "/ticker",
}

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]

pytestmark = pytest.mark.parametrize("venue", VENUES)


def test_a_quote_carries_price_volume_in_base_bid_ask_and_the_exchanges_time(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    observed_at = NOW - timedelta(seconds=40)
    exchange_server.market.set_price(
        venue, "BTC", QUOTES[venue], 50_000.25, at=observed_at, volume=12.5, bid=50_000.0, ask=50_001.0
    )
    adapter = open_adapter(venue)
    instrument = instrument_of(adapter, "BTC")

    batch = adapter.fetch_quotes([instrument])

    (quote,) = batch.quotes
    assert quote.instrument == instrument
    assert quote.price == 50_000.25
    assert quote.received_at == NOW
    assert quote.observed_at == (NOW if venue in WITHOUT_TIME else observed_at)
    assert quote.observed_at.tzinfo is UTC
    assert quote.volume_24h == (None if venue in WITHOUT_VOLUME else pytest.approx(12.5))
    assert (quote.bid, quote.ask) == ((None, None) if venue in WITHOUT_BID_AND_ASK else (50_000.0, 50_001.0))
    assert not batch.rejected
    assert batch.error is None


def test_listed_instruments_are_in_our_codes_and_have_the_symbol_we_would_have_guessed(
    venue: str, open_adapter: OpenAdapter
) -> None:
    adapter = open_adapter(venue)

    instruments = adapter.list_instruments()

    pairs = {instrument.pair for instrument in instruments}
    assert {f"BTC/{QUOTES[venue]}", f"DOGE/{QUOTES[venue]}"} <= pairs
    assert all(each.symbol == adapter.symbol_for(each.base, each.quote) for each in instruments)
    assert len(adapter.fetch_quotes(instruments).quotes) == len(instruments)


def test_two_hundred_instruments_arrive_each_with_its_own_price(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    pairs = exchange_server.market.generate(venue, 200)
    prices = {f"{each.base}/{each.quote}": each.price for each in exchange_server.market.listings(venue)}
    adapter = open_adapter(venue)

    batch = adapter.fetch_quotes([instrument_of(adapter, *pair.split("/")) for pair in pairs])

    assert {quote.instrument.pair: quote.price for quote in batch.quotes} == prices
    assert not batch.rejected


def test_asking_for_nothing_asks_nothing(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter
) -> None:
    assert not open_adapter(venue).fetch_quotes([]).quotes
    assert not exchange_server.requests(venue)


@pytest.mark.parametrize(
    "price",
    [0.0, -1.5, math.nan, math.inf, 1e300, 1e-30, "abc", "", "1_000", None],
    ids=["zero", "negative", "nan", "inf", "huge", "tiny", "text", "empty", "underscore", "null"],
)
def test_an_impossible_price_is_refused_with_its_raw_value_and_the_others_enter(
    price: float | str | None,
    venue: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.market.set_price(venue, "ETH", QUOTES[venue], price)
    adapter = open_adapter(venue)

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "SOL")])

    assert sorted(quote.instrument.base for quote in batch.quotes) == ["BTC", "SOL"]
    (rejected,) = batch.rejected
    assert rejected.exchange == venue
    assert rejected.symbol == adapter.symbol_for("ETH", QUOTES[venue])
    assert rejected.reason in {
        RejectionReason.NOT_A_NUMBER,
        RejectionReason.NOT_FINITE,
        RejectionReason.NOT_POSITIVE,
        RejectionReason.IMPLAUSIBLE,
        RejectionReason.MALFORMED,
    }
    assert rejected.raw


def test_nonsense_around_a_good_price_does_not_cost_the_price(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price(venue, "BTC", QUOTES[venue], 100.0, volume=math.nan, bid=-1.0, ask=math.inf)
    adapter = open_adapter(venue)

    (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

    assert quote.price == 100.0
    assert (quote.volume_24h, quote.bid, quote.ask) == (None, None, None)


def test_an_unknown_symbol_is_refused_and_never_costs_the_others(
    venue: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)
    bases = ("BTC", "NOSUCHCOIN", "ETH", "NORTHIS")

    batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in bases])

    assert [quote.instrument.base for quote in batch.quotes] == ["BTC", "ETH"]
    assert {(each.symbol, each.reason) for each in batch.rejected} == {
        (adapter.symbol_for(base, QUOTES[venue]), RejectionReason.UNKNOWN_SYMBOL) for base in ("NOSUCHCOIN", "NORTHIS")
    }
    assert batch.error is None


def test_only_unknown_symbols_are_refused_without_an_error(
    venue: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)

    batch = adapter.fetch_quotes([instrument_of(adapter, "NOSUCHCOIN")])

    assert not batch.quotes
    assert [each.reason for each in batch.rejected] == [RejectionReason.UNKNOWN_SYMBOL]


def test_the_same_answer_twice_gives_the_same_quote_twice(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.market.set_price(venue, "BTC", QUOTES[venue], 7.5, at=NOW - timedelta(minutes=1))
    adapter = open_adapter(venue)

    first, second = (adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes for _ in range(2))

    assert first == second


def test_a_time_that_goes_back_is_passed_on_as_it_is(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    if venue in WITHOUT_TIME:
        pytest.skip(f"{venue} gives no times")
    adapter = open_adapter(venue)
    times = []
    for minutes in (1, 5):
        exchange_server.market.set_price(venue, "BTC", QUOTES[venue], 7.5, at=NOW - timedelta(minutes=minutes))
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
def test_a_wish_for_a_pause_becomes_a_time_before_which_nobody_calls(
    status: int,
    retry_after: str | None,
    seconds: int,
    venue: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    exchange_server.fail(venue, "status", status=status, headers=headers, body={"error": "slow down"})
    adapter = open_adapter(venue)

    with pytest.raises(RateLimited) as caught:
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert caught.value.blocked_until == NOW + timedelta(seconds=seconds)
    assert caught.value.exchange == venue
    assert len(exchange_server.requests(venue)) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (451, "coinwatch exchanges disable {venue}"),
        (401, "COINWATCH_EXCHANGES__{VENUE}__API_KEY"),
        (403, "coinwatch exchanges disable {venue}"),
    ],
)
def test_a_refusal_says_what_a_person_can_do(
    status: int,
    words: str,
    venue: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.fail(venue, "status", status=status, body={"error": "no"})
    adapter = open_adapter(venue)

    with pytest.raises(ExchangeDenied) as caught:
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert words.format(venue=venue, VENUE=venue.upper()) in str(caught.value)


def test_a_redirect_is_not_followed(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    other = next(each for each in VENUES if each != venue)
    exchange_server.fail(
        venue, "status", status=302, headers={"Location": f"{exchange_server.base_url(other)}/api"}, body=""
    )
    adapter = open_adapter(venue)

    with pytest.raises(ExchangeDenied, match="base_url"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert not exchange_server.requests(other)


@pytest.mark.parametrize("kind", ["cut_off", "truncated", "html", "endless"])
@pytest.mark.parametrize("path", ["", "quote"])
def test_a_broken_body_is_worth_another_try(
    path: str,
    kind: str,
    venue: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
) -> None:
    exchange_server.fail(venue, kind, path=QUOTE_PATH[venue] if path else "")
    adapter = open_adapter(venue, timeout_seconds=0.5)

    with pytest.raises(ExchangeUnavailable):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    exchange_server.faults.clear()
    assert adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
def test_trouble_on_the_exchanges_side_is_worth_another_try(
    status: int, venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(venue, "status", status=status, body="Bad Gateway")
    adapter = open_adapter(venue)

    with pytest.raises(ExchangeUnavailable):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


@pytest.mark.parametrize("kind", ["timeout", "drip", "drip_headers"])
def test_a_server_that_holds_on_is_let_go_when_the_time_is_over(
    kind: str, venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(venue, kind)
    adapter = open_adapter(venue, timeout_seconds=0.5)
    started = time.monotonic()

    with pytest.raises(ExchangeUnavailable, match=r"no complete answer within 0\.5 s"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    assert time.monotonic() - started < 20, "on a busy machine"


def test_nobody_listening_is_worth_another_try_and_named(
    venue: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    port = free_port()
    adapter = open_adapter(venue, base_url=f"http://127.0.0.1:{port}")

    with pytest.raises(ExchangeUnavailable, match=rf"127\.0\.0\.1:{port} cannot be reached \(Connection refused\)"):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])


def test_the_api_key_stands_in_no_error_and_no_log(
    venue: str,
    exchange_server: ExchangeServer,
    open_adapter: OpenAdapter,
    instrument_of: InstrumentOf,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = "CG-very-secret-4711"
    adapter = open_adapter(venue, api_key=secret)
    texts = []
    with caplog.at_level(logging.DEBUG):
        for status in (400, 401, 403, 404, 422, 429, 500):
            exchange_server.faults.clear()
            exchange_server.fail(venue, "status", status=status, body={"error": f"bad key {secret}"})
            try:
                batch = adapter.fetch_quotes([instrument_of(adapter, "BTC")])
                texts += [repr(batch)]
            except ExchangeError as error:
                texts += [str(error), repr(error), repr(error.__cause__)]

    assert not [text for text in [*texts, caplog.text] if secret in text]


def test_requests_name_coinwatch_and_carry_no_cookies(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(venue, "status", status=500, headers={"Set-Cookie": "track=1; Path=/"}, times=1)
    adapter = open_adapter(venue)
    with pytest.raises(ExchangeUnavailable):
        adapter.fetch_quotes([instrument_of(adapter, "BTC")])
    adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    for request in exchange_server.requests(venue):
        assert request.headers["user-agent"].startswith("coinwatch/")
        assert "cookie" not in request.headers
