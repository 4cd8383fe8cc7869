"""What holds for the candles of every exchange."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import ExchangeDenied, RateLimited, UnknownSymbol
from coinwatch.exchanges.models import Exchange, Instrument
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import QUOTES, VENUES, candles
from tests.exchange_server.recorded import RecordedCandle

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
CANDLE_SECONDS = {"coingecko": 1800, "binance": 60, "coinbase": 60, "kraken": 60, "bitstamp": 60}

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]

pytestmark = pytest.mark.parametrize("venue", VENUES)


def test_candles_are_complete_oldest_first_and_each_once(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)
    instrument = instrument_of(adapter, "BTC")
    if venue not in CANDLE_SECONDS:
        with pytest.raises(ExchangeDenied, match="no candles"):
            adapter.fetch_candles(instrument, 60, NOW - timedelta(hours=1), NOW)
        return
    seconds = CANDLE_SECONDS[venue]
    exchange_server.market.mixed_candles = True
    start = NOW - 30 * timedelta(seconds=seconds)

    found = adapter.fetch_candles(instrument, seconds, start, NOW + timedelta(hours=1))

    last_complete = int(NOW.timestamp()) - seconds
    made = candles(int(start.timestamp()), last_complete, seconds, gaps=venue == "coinbase")
    assert [_values(each.opened_at, each) for each in found] == [
        _values(datetime.fromtimestamp(each.opened_at, UTC), each) for each in made
    ]
    assert {each.volume for each in found} == ({None} if venue == "coingecko" else {each.volume for each in made})


def test_candles_are_paged_until_the_end(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    if venue in {"coinnews", "coingecko"}:
        pytest.skip(f"{venue} has no pages of candles")
    minutes = 700 if venue == "kraken" else 2500  # Kraken keeps 720 candles and has no pages
    adapter = open_adapter(venue)
    start, end = NOW - timedelta(minutes=minutes), NOW - timedelta(minutes=5)

    found = adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, start, end)

    made = candles(int(start.timestamp()), int(end.timestamp()) - 1, 60, gaps=venue == "coinbase")
    assert [each.opened_at for each in found] == [datetime.fromtimestamp(each.opened_at, UTC) for each in made]


def test_every_length_it_offers_for_history_comes_as_far_back_as_it_says(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)
    assert list(adapter.candle_intervals) == ([] if venue in {"coinnews", "coingecko"} else [60, 3600, 86400])
    for seconds in adapter.candle_intervals:
        step = timedelta(seconds=seconds)
        horizon = adapter.candle_retention(seconds)
        assert (horizon is None) == (venue != "kraken")
        start = NOW - (horizon or step * 1200)

        found = adapter.fetch_candles(instrument_of(adapter, "BTC"), seconds, start, NOW)

        made = candles(int(start.timestamp()), int(NOW.timestamp()) - seconds, seconds, gaps=venue == "coinbase")
        assert [each.opened_at.timestamp() for each in found] == [each.opened_at for each in made], seconds


@pytest.mark.parametrize("more", [-1, 0, 2])
def test_a_page_that_is_just_full_loses_nothing_and_is_one_call(
    more: int, venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)
    if not adapter.candle_intervals:
        pytest.skip(f"{venue} has no pages of candles")
    size = adapter.candles_per_call + more - (2 if venue == "kraken" else 0)
    if venue == "kraken" and more > 0:
        pytest.skip("Kraken has one page only")
    start = NOW.replace(second=0) - timedelta(minutes=size)
    asked: list[datetime | None] = []
    adapter.before_history_call = asked.append

    found = adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, start, NOW.replace(second=0))

    last = int(NOW.timestamp()) // 60 * 60 - 60
    made = candles(int(start.timestamp()), last, 60, gaps=venue == "coinbase")
    assert [each.opened_at.timestamp() for each in found] == [each.opened_at for each in made]
    calls = [each for each in exchange_server.requests(venue) if "market" not in each.path]
    assert len(calls) == len(asked) == (2 if more > 0 else 1), "the gate is asked before every call"


def test_an_empty_page_is_no_end_and_no_error(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)
    if not adapter.candle_intervals:
        pytest.skip(f"{venue} has no pages of candles")
    # Trades at the beginning and at the end of the time asked for, and more than a page of nothing between them.
    reach = 700 if venue == "kraken" else 3 * adapter.candles_per_call
    first = int(NOW.timestamp()) // 60 * 60 - 60 * reach
    opened = [first, first + 60, first + 60 * (reach - 2)]
    recorded = [RecordedCandle(each, 1.0, 2.0, 0.5, 1.5, 10.0) for each in opened]
    exchange_server.market.record(venue, "BTC", QUOTES[venue], recorded)
    instrument = instrument_of(adapter, "BTC")
    start = datetime.fromtimestamp(first, UTC)

    assert [each.opened_at.timestamp() for each in adapter.fetch_candles(instrument, 60, start, NOW)] == opened
    assert adapter.fetch_candles(instrument, 60, start + timedelta(minutes=2), start + timedelta(minutes=90)) == []


def test_candles_of_an_unknown_symbol_are_a_matter_of_that_symbol(
    venue: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)
    if not adapter.candle_intervals:
        pytest.skip(f"{venue} has no candles of a minute")

    with pytest.raises(UnknownSymbol, match="not know"):
        adapter.fetch_candles(instrument_of(adapter, "NOSUCHCOIN"), 60, NOW - timedelta(hours=1), NOW)


def test_candles_of_a_length_the_exchange_does_not_have_are_refused_with_those_it_has(
    venue: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(venue)

    with pytest.raises(ExchangeDenied, match="has no candles"):
        adapter.fetch_candles(instrument_of(adapter, "BTC"), 61, NOW - timedelta(hours=1), NOW)


def test_trouble_during_candles_is_one_of_our_errors(
    venue: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(venue, "status", status=429, headers={"Retry-After": "9"})
    adapter = open_adapter(venue)

    with pytest.raises(RateLimited if venue in CANDLE_SECONDS else ExchangeDenied):
        adapter.fetch_candles(
            instrument_of(adapter, "BTC"), CANDLE_SECONDS.get(venue, 60), NOW - timedelta(hours=4), NOW
        )


def _values(opened_at: datetime, candle: object) -> tuple[object, ...]:
    return (opened_at, *(getattr(candle, name) for name in ("open", "high", "low", "close")))
