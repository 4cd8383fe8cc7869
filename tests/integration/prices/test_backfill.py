"""Backfill against the far end and a real Postgres: complete, only what is over, the same tables however it went."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import ConfigurationError, DoNotRetry, InvalidRequest, RetryLater, RetryNow
from coinwatch.prices.backfill import BackfillResult, backfill_range, exchanges_with_candles
from coinwatch.prices.backfill_run import Progress
from coinwatch.prices.candles import StoreResult, refresh_candles
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle
from tests.support.quotes import load, quote
from tests.support.settings import EXCHANGES, exchange, make_settings

NOW = datetime(2026, 3, 2, 18, 0, 30, tzinfo=UTC)
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
VENUES = ("binance", "coinbase", "kraken", "coinnews")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def far_end(server: ExchangeServer, time: Time) -> Iterator[ExchangeServer]:
    server.reset()
    server.market.clock = time.clock
    yield server
    server.reset()


@pytest.fixture
def settings(far_end: ExchangeServer) -> Settings:
    exchanges = {
        code: {
            **EXCHANGES[code],
            "base_url": far_end.base_url(code),
            "timeout_seconds": 2,
            "history_calls_per_second": 1000,
        }
        for code in VENUES
    }
    return make_settings(exchanges=exchanges)


@pytest.fixture
def catalog(engine: sa.Engine, settings: Settings) -> sa.Engine:
    sync_catalog(engine, settings)
    return engine


Backfill = Callable[..., BackfillResult]


@pytest.fixture
def backfill(catalog: sa.Engine, settings: Settings, time: Time) -> Backfill:
    """``backfill(code, start, end, ...)`` at the test's time."""

    def run(code: str, start: datetime, end: datetime, **more: Any) -> BackfillResult:
        return backfill_range(catalog, settings, code, start, end, clock=time.clock, sleep=time.sleep, **more)

    return run


def minutes(first: datetime, count: int, missing: frozenset[int] = frozenset()) -> list[RecordedCandle]:
    """A walk of prices with exact sums; ``missing`` minutes are left out."""
    random, price, found = Random(7), 1000.0, []
    for number in range(count):
        opening, price = price, price + random.randint(-8, 8) / 4
        high, low = max(opening, price) + random.randint(0, 4) / 4, min(opening, price) - random.randint(0, 4) / 4
        if number not in missing:
            opened = int(first.timestamp()) + 60 * number
            found.append(RecordedCandle(opened, opening, high, low, price, random.randint(1, 80) / 8))
    return found


def record(far_end: ExchangeServer, venue: str, rows: list[RecordedCandle], base: str = "BTC") -> None:
    far_end.market.record(venue, base, "USDT" if venue == "binance" else "USD", rows)


def instrument_id(engine: sa.Engine, code: str, base: str = "BTC") -> int:
    query = (
        "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = exchange_id WHERE e.code = :code AND base = :base"
    )
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(query), {"code": code, "base": base}).scalar_one())


def candles(engine: sa.Engine, resolution: str, code: str, base: str = "BTC") -> list[Any]:
    query = (
        "SELECT c.* FROM candles c JOIN instruments i ON i.id = c.instrument_id JOIN exchanges e ON e.id = exchange_id"
        " WHERE e.code = :code AND base = :base AND resolution = CAST(:resolution AS candle_resolution)"
        " ORDER BY opened_at"
    )
    with transaction(engine) as connection:
        return list(connection.execute(sa.text(query), {"code": code, "base": base, "resolution": resolution}))


def everything(engine: sa.Engine) -> list[str]:
    """All candles as text, to the last bit."""
    query = "SELECT CAST(c AS text) FROM candles c ORDER BY resolution, instrument_id, opened_at"
    with transaction(engine) as connection:
        return list(connection.execute(sa.text(query)).scalars())


def fetches(engine: sa.Engine, code: str, base: str = "BTC") -> list[tuple[str, datetime, datetime, str, int]]:
    query = (
        "SELECT resolution::text, started_at, ended_at, outcome, candles FROM candle_fetches"
        " WHERE instrument_id = :id ORDER BY resolution, started_at"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), {"id": instrument_id(engine, code, base)})]


@pytest.mark.parametrize(("code", "calls"), [("binance", 2 * 2), ("coinbase", 2 * 5)])
def test_a_day_is_stored_whole_and_asked_for_once(
    code: str, calls: int, catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    rows = minutes(DAY - HOUR, 26 * 60, missing=frozenset(range(400, 420)))
    for base in ("BTC", "ETH"):
        record(far_end, code, rows, base)

    result = backfill(code, DAY, DAY + timedelta(days=1))

    assert result == BackfillResult(StoreResult(2 * 1420), requests=calls)
    wanted = [row for row in rows if DAY.timestamp() <= row.opened_at < (DAY + timedelta(days=1)).timestamp()]
    assert [
        (row.opened_at.timestamp(), row.open, row.high, row.low, row.close, row.volume, row.source)
        for row in candles(catalog, "1m", code)
    ] == [(row.opened_at, row.open, row.high, row.low, row.close, row.volume, "exchange") for row in wanted]
    assert backfill(code, DAY, DAY + timedelta(days=1)) == BackfillResult(), "what is known is not asked again"
    assert len(far_end.requests(code)) == calls
    again = backfill(code, DAY, DAY + timedelta(days=1), again=True)
    assert again == BackfillResult(StoreResult(unchanged=2 * 1420), requests=calls)


def test_the_hours_and_days_made_of_it_are_those_the_exchange_would_tell(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    record(far_end, "binance", minutes(DAY, 1440, missing=frozenset(range(100, 200))))
    backfill("binance", DAY, DAY + timedelta(days=1), instruments=[instrument_id(catalog, "binance")])
    refresh_candles(catalog)
    listing = next(each for each in far_end.market.listings("binance") if each.base == "BTC")
    for resolution, seconds in (("1h", 3600), ("1d", 86400)):
        told = far_end.market.candles("binance", listing, 0, 2**40, seconds)
        assert [
            (row.opened_at.timestamp(), row.open, row.high, row.low, row.close, row.volume)
            for row in candles(catalog, resolution, "binance")
        ] == [(row.opened_at, row.open, row.high, row.low, row.close, row.volume) for row in told]


def test_any_order_thrice_and_beside_live_collection_the_tables_are_the_same_to_the_last_bit(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    start = DAY + 12 * HOUR
    for code in ("binance", "coinbase", "kraken"):
        record(far_end, code, minutes(DAY - timedelta(days=2), 5 * 1440, missing=frozenset(range(3700, 3800))))
    intervals = [(start + number * 6 * HOUR, start + (number + 1) * 6 * HOUR) for number in range(4)]
    quotes = [
        quote(2000 + number, 7 * number, exchange=code, pair="BTC/USDT" if code == "binance" else "BTC/USD")
        for number in range(200)
        for code in ("binance", "coinbase", "kraken")
    ]
    tables = []
    for seed, order in enumerate(list(permutations(range(4)))[::8]):
        with transaction(catalog) as connection:
            connection.execute(sa.text("DELETE FROM candles"))
            connection.execute(sa.text("DELETE FROM stale_candles"))
            connection.execute(sa.text("DELETE FROM prices"))
            connection.execute(sa.text("DELETE FROM candle_fetches"))
        random, waiting = Random(seed), list(quotes)
        random.shuffle(waiting)
        for interval in [intervals[number] for number in order] * 3:
            for code in random.sample(["binance", "coinbase", "kraken"], 3):
                load(catalog, *[waiting.pop() for _ in range(min(20, len(waiting)))], now=NOW)
                backfill(code, *interval, again=True)
                if random.random() < 0.5:
                    refresh_candles(catalog)
        load(catalog, *waiting, now=NOW)
        refresh_candles(catalog)
        tables.append(everything(catalog))
    assert len(tables) == 3
    assert tables[0] == tables[1] == tables[2]
    sources = {row.source for code in ("binance", "kraken") for row in candles(catalog, "1m", code)}
    assert sources == {"exchange", "quotes"}, "both had their say"


def test_three_backfills_at_once_beside_loading_and_refreshing_leave_the_same_tables(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    for base in ("BTC", "ETH"):
        record(far_end, "binance", minutes(DAY, 2 * 1440, missing=frozenset(range(900, 950))), base)
    quotes = [
        quote(2000 + number, 3 * number, exchange="binance", pair=pair)
        for number in range(300)
        for pair in ("BTC/USDT", "ETH/USDT")
    ]

    def live() -> None:
        for first in range(0, len(quotes), 20):
            load(catalog, *quotes[first : first + 20], now=NOW)
            refresh_candles(catalog)

    def fetch() -> None:
        backfill("binance", DAY, NOW, again=True)

    tables = []
    for side_by_side in (False, True):
        with transaction(catalog) as connection:
            for table in ("candles", "stale_candles", "prices", "candle_fetches"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        with ThreadPoolExecutor(4 if side_by_side else 1) as pool:
            for future in [pool.submit(work) for work in (fetch, live, fetch, fetch)]:
                future.result()
        refresh_candles(catalog)
        tables.append(everything(catalog))
    assert tables[0] == tables[1]
    assert len(tables[0]) > 2 * (2520 - 50)


def test_only_what_is_over_is_stored_and_remembered(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill, time: Time
) -> None:
    record(far_end, "binance", minutes(NOW.replace(second=0) - HOUR, 120))
    end = NOW + timedelta(days=1)
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    assert backfill("binance", NOW - HOUR, end, **only_btc).stored == StoreResult(60)
    assert candles(catalog, "1m", "binance")[-1].opened_at == NOW.replace(second=0) - MINUTE
    time.now += 3 * MINUTE
    assert backfill("binance", NOW - HOUR, end, **only_btc) == BackfillResult(StoreResult(3), requests=1)


def test_candles_that_are_late_are_asked_for_again(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill, time: Time
) -> None:
    rows = minutes(NOW.replace(second=0) - 2 * HOUR, 120)
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    for known in ([], rows[:100], rows[:118]):
        record(far_end, "binance", known)
        backfill("binance", NOW - 2 * HOUR, NOW, **only_btc)
    record(far_end, "binance", rows)
    assert backfill("binance", NOW - 2 * HOUR, NOW, **only_btc).stored == StoreResult(2)
    assert [outcome for _, _, _, outcome, _ in fetches(catalog, "binance")] == ["stored"] * 3


def test_where_minutes_are_gone_come_hours_and_where_these_are_gone_days(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    first = DAY - timedelta(days=40)
    record(far_end, "kraken", minutes(first, 42 * 1440))
    only_btc = {"instruments": [instrument_id(catalog, "kraken")]}

    result = backfill("kraken", first, NOW, **only_btc)

    minutes_from, hours_from = NOW - 718 * MINUTE, NOW - 718 * HOUR
    assert result.unavailable == 2
    assert result.requests == 3
    assert candles(catalog, "1m", "kraken")[0].opened_at == minutes_from.replace(second=0) + MINUTE
    assert candles(catalog, "1h", "kraken")[0].opened_at == hours_from.replace(minute=0, second=0) + HOUR
    assert [row.opened_at for row in candles(catalog, "1d", "kraken")] == [
        first + timedelta(days=number) for number in range(12)
    ]
    assert {row.source for row in candles(catalog, "1h", "kraken")} == {"exchange"}
    again = backfill("kraken", first, NOW, **only_btc)
    assert (again.requests, again.unavailable) == (0, 0), "what is gone is not asked for again"


def test_minutes_that_we_have_stay_though_the_exchange_no_longer_keeps_them(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill, time: Time
) -> None:
    record(far_end, "kraken", minutes(DAY, 3 * 1440))
    interval = (NOW.replace(minute=0) - 6 * HOUR, NOW.replace(minute=0, second=0))
    backfill("kraken", *interval, instruments=[instrument_id(catalog, "kraken")])
    refresh_candles(catalog)
    before = everything(catalog)
    time.now += timedelta(days=3)
    assert backfill("kraken", *interval, instruments=[instrument_id(catalog, "kraken")], again=True).requests == 0
    refresh_candles(catalog)
    assert everything(catalog) == before


def test_a_stretch_without_any_candle_is_unavailable_and_never_asked_for_again(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    only_btc = {"instruments": [instrument_id(catalog, "coinbase")]}
    record(far_end, "coinbase", minutes(DAY, 12 * 60))
    result = backfill("coinbase", DAY - timedelta(days=1), DAY + timedelta(days=1), **only_btc)
    assert result.stored.inserted == 720, "the minutes; the day that has some of them is made of those"
    unavailable = [
        (resolution, start, end) for resolution, start, end, what, _ in fetches(catalog, "coinbase") if what != "stored"
    ]
    assert {resolution for resolution, _, _ in unavailable} == {"1m", "1h", "1d"}
    assert ("1d", DAY - timedelta(days=1), DAY) in unavailable
    asked = len(far_end.requests("coinbase"))
    backfill("coinbase", DAY - timedelta(days=1), DAY, again=True, **only_btc)
    assert len(far_end.requests("coinbase")) == asked


@pytest.mark.parametrize("code", ["binance", "coinbase"])
def test_years_before_an_instrument_was_listed_take_a_call_or_two(
    code: str, catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    only_btc = {"instruments": [instrument_id(catalog, code)]}
    record(far_end, code, minutes(DAY + 6 * HOUR, 12 * 60))
    result = backfill(code, DAY - timedelta(days=500), DAY + timedelta(days=1), **only_btc)
    assert result.stored == StoreResult(720), "its minutes; the first day, which is not whole, is made of them"
    assert result.requests < 15, "not one for each of 2,400 pages"
    first = DAY - timedelta(days=500)
    found = fetches(catalog, code)
    assert [row for row in found if row[1] == first] == [
        (resolution, first, DAY, "unavailable", 0) for resolution in ("1d", "1h", "1m")
    ]
    again = backfill(code, DAY - timedelta(days=500), DAY, **only_btc, again=True)
    assert again == BackfillResult(), "nothing is asked for again"


def test_what_an_exchange_dropped_silently_is_not_taken_from_us(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    record(far_end, "binance", minutes(DAY, 300))
    backfill("binance", DAY, DAY + 5 * HOUR, **only_btc)
    before = everything(catalog)
    record(far_end, "binance", [])
    assert backfill("binance", DAY, DAY + 5 * HOUR, again=True, **only_btc) == BackfillResult(requests=1)
    assert everything(catalog) == before
    assert {outcome for _, _, _, outcome, _ in fetches(catalog, "binance")} == {"stored"}


def test_an_unknown_symbol_is_named_and_costs_the_others_nothing(far_end: ExchangeServer, backfill: Backfill) -> None:
    for code, quote_currency in (("binance", "USDT"), ("coinbase", "USD"), ("kraken", "USD")):
        far_end.market.delist(code, "BTC", quote_currency)
        result = backfill(code, NOW - HOUR, NOW)
        assert list(result.failed) == [f"BTC/{quote_currency}"]
        assert "does not know" in result.failed[f"BTC/{quote_currency}"]
        assert result.stored.inserted > 50


def test_passing_trouble_is_tried_again_once(far_end: ExchangeServer, backfill: Backfill) -> None:
    far_end.fail("binance", "cut_off", times=1)
    assert backfill("binance", DAY, DAY + HOUR).failed == {}
    far_end.fail("binance", "status", status=500)
    with pytest.raises(RetryNow, match="failed on its side"):
        backfill("binance", DAY, DAY + 2 * HOUR)


def test_one_instrument_in_passing_trouble_is_named_and_the_others_are_complete(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    far_end.fail("coinbase", "html", path="/products/ETH-USD")
    result = backfill("coinbase", DAY, DAY + 2 * HOUR)
    assert list(result.failed) == ["ETH/USD"]
    assert result.stored.inserted == len(candles(catalog, "1m", "coinbase")) > 90
    with pytest.raises(RetryNow, match="ETH/USD /products/ETH-USD/candles answered"):
        result.raise_for_failed("coinbase")


def test_an_exchange_that_answers_nobody_is_not_asked_for_every_instrument(
    far_end: ExchangeServer, engine: sa.Engine, time: Time
) -> None:
    pairs = far_end.market.generate("binance", 30)
    coins = {pair.split("/")[0]: {"name": pair} for pair in pairs}
    settings = make_settings(
        coins=coins, exchanges={"binance": exchange("Binance", *pairs, base_url=far_end.base_url("binance"))}
    )
    sync_catalog(engine, settings)
    far_end.fail("binance", "status", status=451)
    with pytest.raises(DoNotRetry, match="does not serve this country"):
        backfill_range(engine, settings, "binance", DAY, DAY + HOUR, clock=time.clock, sleep=time.sleep)
    assert len(far_end.requests("binance")) < 10


def test_a_short_pause_is_waited_for_and_remembered_for_all(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill, time: Time
) -> None:
    far_end.fail("kraken", "status", status=429, headers={"Retry-After": "90"}, times=1)
    result = backfill("kraken", NOW - HOUR, NOW)
    assert (result.failed, result.stored.inserted) == ({}, 120)
    assert time.now - NOW >= timedelta(seconds=90)
    with transaction(catalog) as connection:
        status = connection.execute(sa.text("SELECT blocked_until, failures FROM exchange_status")).one()
    assert NOW + timedelta(seconds=90) <= status.blocked_until < NOW + timedelta(seconds=95)
    assert status.failures == 0, "live collection did not fail"


def test_a_long_pause_ends_it_with_what_came_before_stored(
    catalog: sa.Engine, far_end: ExchangeServer, backfill: Backfill
) -> None:
    far_end.fail("binance", "status", status=418, headers={"Retry-After": "3600"}, after=2)
    with pytest.raises(RetryLater, match="wants a pause until 2026-03-02 19:00:30 UTC"):
        backfill("binance", DAY, DAY + timedelta(days=1))
    stored = len(candles(catalog, "1m", "binance")) + len(candles(catalog, "1m", "binance", "ETH"))
    asked = len(far_end.requests("binance"))
    assert stored >= 1440
    with pytest.raises(RetryLater):
        backfill("binance", DAY, DAY + timedelta(days=1))
    assert len(far_end.requests("binance")) == asked, "nobody asks during the pause"


def test_pauses_without_end_are_not_waited_for_without_end(far_end: ExchangeServer, backfill: Backfill) -> None:
    far_end.fail("kraken", "status", status=429, headers={"Retry-After": "5"})
    with pytest.raises(RetryLater):
        backfill("kraken", NOW - HOUR, NOW)
    assert len(far_end.requests("kraken")) < 20


def test_interrupted_work_goes_on_where_it_was(far_end: ExchangeServer, backfill: Backfill) -> None:
    told: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        told.append(progress)
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill("coinbase", DAY, DAY + timedelta(days=1), progress=interrupt)
    asked = len(far_end.requests("coinbase"))
    assert asked < 10
    assert [progress.total for progress in told] == [10, 10, 10]
    result = backfill("coinbase", DAY, DAY + timedelta(days=1))
    assert result.requests == len(far_end.requests("coinbase")) - asked
    assert 1 <= result.requests <= 7
    assert backfill("coinbase", DAY, DAY + timedelta(days=1)).requests == 0


def test_which_exchanges_have_candles_is_known_without_asking_them(
    catalog: sa.Engine, settings: Settings, far_end: ExchangeServer, backfill: Backfill
) -> None:
    assert exchanges_with_candles(catalog, settings) == ["binance", "coinbase", "kraken"]
    assert not far_end.requests()
    with pytest.raises(DoNotRetry, match="no candles"):
        backfill("coinnews", DAY, NOW)


def test_nonsense_is_told(engine: sa.Engine, settings: Settings, backfill: Backfill) -> None:
    with pytest.raises(InvalidRequest, match="before the end"):
        backfill("kraken", NOW, NOW)
    with pytest.raises(InvalidRequest, match="time zone"):
        backfill("kraken", NOW.replace(tzinfo=None), NOW)
    assert backfill("kraken", DAY, NOW, instruments=[4711]).failed == {"instrument 4711": "is not watched at kraken"}
    with pytest.raises(ConfigurationError, match="coinwatch migrate"):
        backfill("bitmex", DAY, NOW)
