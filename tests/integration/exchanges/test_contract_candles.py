"""The contract for candles: one suite against every adapter."""

from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import ExchangeDenied, RateLimited, UnknownSymbol
from coinwatch.time_range import TimeRange
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import EXCHANGES, QUOTE_CURRENCIES, candles
from tests.exchange_server.recorded import RecordedCandle
from tests.support.adapters import NOW, InstrumentOf, OpenAdapter, RecordingRateLimiter

LAST_HOUR = TimeRange(NOW - timedelta(hours=1), NOW)
CANDLE_SECONDS = {code: 1800 if code == "coingecko" else 60 for code in EXCHANGES}


pytestmark = pytest.mark.parametrize("code", EXCHANGES)


def test_candles_are_complete_oldest_first_and_unique(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)
    instrument = instrument_of(adapter, "BTC")
    seconds = CANDLE_SECONDS[code]
    exchange_server.market.mixed_candles = True
    start = NOW - 30 * timedelta(seconds=seconds)

    found = adapter.fetch_candles(instrument, seconds, TimeRange(start, NOW + timedelta(hours=1)))

    last_complete = int(NOW.timestamp()) - seconds
    made = candles(int(start.timestamp()), last_complete, seconds, gaps=code == "coinbase")
    assert [_values(each.opened_at, each) for each in found] == [
        _values(datetime.fromtimestamp(each.opened_at, UTC), each) for each in made
    ]
    assert {each.volume for each in found} == ({None} if code == "coingecko" else {each.volume for each in made})


def test_unfinished_candle_is_left_out_although_our_clock_is_ahead(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    seconds = CANDLE_SECONDS[code]
    ahead = timedelta(seconds=2 * seconds)
    exchange_server.market.clock = lambda: NOW - ahead  # our clock shows NOW
    adapter = open_adapter(code)

    found = adapter.fetch_candles(
        instrument_of(adapter, "BTC"), seconds, TimeRange(NOW - 20 * timedelta(seconds=seconds), NOW)
    )

    assert found
    assert found[-1].opened_at + timedelta(seconds=seconds) <= NOW - ahead


def test_candles_are_paged_until_the_end(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    if code == "coingecko":
        pytest.skip(f"{code} does not offer candles for history")
    minutes = 700 if code == "kraken" else 2500  # Kraken keeps 720 candles and returns them in one page
    adapter = open_adapter(code)
    start, end = NOW - timedelta(minutes=minutes), NOW - timedelta(minutes=5)

    found = adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, TimeRange(start, end))

    made = candles(int(start.timestamp()), int(end.timestamp()) - 1, 60, gaps=code == "coinbase")
    assert [each.opened_at for each in found] == [datetime.fromtimestamp(each.opened_at, UTC) for each in made]


def test_every_resolution_is_available_for_its_full_retention(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)
    assert list(adapter.candle_intervals) == ([] if code == "coingecko" else [60, 3600, 86400])
    for seconds in adapter.candle_intervals:
        step = timedelta(seconds=seconds)
        retention = adapter.candle_retention(seconds)
        assert (retention is None) == (code != "kraken")
        start = NOW - (retention or step * 1200)

        found = adapter.fetch_candles(instrument_of(adapter, "BTC"), seconds, TimeRange(start, NOW))

        made = candles(int(start.timestamp()), int(NOW.timestamp()) - seconds, seconds, gaps=code == "coinbase")
        assert [each.opened_at.timestamp() for each in found] == [each.opened_at for each in made], seconds


@pytest.mark.parametrize("more", [-1, 0, 2])
def test_full_page_is_complete_and_takes_one_call(
    more: int, code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)
    if not adapter.candle_intervals:
        pytest.skip(f"{code} does not offer candles for history")
    size = adapter.candles_per_call + more - (2 if code == "kraken" else 0)
    if code == "kraken" and more > 0:
        pytest.skip("Kraken returns one page only")
    start = NOW.replace(second=0) - timedelta(minutes=size)
    rate_limiter = RecordingRateLimiter()

    found = adapter.fetch_candles(
        instrument_of(adapter, "BTC"), 60, TimeRange(start, NOW.replace(second=0)), rate_limiter
    )

    last = int(NOW.timestamp()) // 60 * 60 - 60
    made = candles(int(start.timestamp()), last, 60, gaps=code == "coinbase")
    assert [each.opened_at.timestamp() for each in found] == [each.opened_at for each in made]
    calls = [each for each in exchange_server.requests(code) if "market" not in each.path]
    assert len(calls) == len(rate_limiter.calls) == (2 if more > 0 else 1)


def test_empty_page_does_not_end_paging(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)
    if not adapter.candle_intervals:
        pytest.skip(f"{code} does not offer candles for history")
    # Trades at both ends of the requested range, and more than a page without any between them.
    reach = 700 if code == "kraken" else 3 * adapter.candles_per_call
    first = int(NOW.timestamp()) // 60 * 60 - 60 * reach
    opened = [first, first + 60, first + 60 * (reach - 2)]
    recorded = [RecordedCandle(each, 1.0, 2.0, 0.5, 1.5, 10.0) for each in opened]
    exchange_server.market.record(code, "BTC", QUOTE_CURRENCIES[code], recorded)
    instrument = instrument_of(adapter, "BTC")
    start = datetime.fromtimestamp(first, UTC)

    found = adapter.fetch_candles(instrument, 60, TimeRange(start, NOW))
    assert [each.opened_at.timestamp() for each in found] == opened
    without_trades = TimeRange(start + timedelta(minutes=2), start + timedelta(minutes=90))
    assert adapter.fetch_candles(instrument, 60, without_trades) == []


def test_unknown_symbol_raises_unknown_symbol(
    code: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    adapter = open_adapter(code)
    if not adapter.candle_intervals:
        pytest.skip(f"{code} does not offer 1-minute candles")

    with pytest.raises(UnknownSymbol, match="unknown symbol"):
        adapter.fetch_candles(instrument_of(adapter, "NOSUCHCOIN"), 60, LAST_HOUR)


def test_unsupported_resolution_is_denied(code: str, open_adapter: OpenAdapter, instrument_of: InstrumentOf) -> None:
    adapter = open_adapter(code)

    with pytest.raises(ExchangeDenied, match="does not offer candles of 61 seconds"):
        adapter.fetch_candles(instrument_of(adapter, "BTC"), 61, LAST_HOUR)


def test_failing_request_for_candles_raises_an_exchange_error(
    code: str, exchange_server: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
) -> None:
    exchange_server.fail(code, "status", status=429, headers={"Retry-After": "9"})
    adapter = open_adapter(code)

    with pytest.raises(RateLimited):
        adapter.fetch_candles(
            instrument_of(adapter, "BTC"), CANDLE_SECONDS[code], TimeRange(NOW - timedelta(hours=4), NOW)
        )


def _values(opened_at: datetime, candle: object) -> tuple[object, ...]:
    return (opened_at, *(getattr(candle, name) for name in ("open", "high", "low", "close")))
