"""A backfill gives the same tables in any order, and records what the exchange does not have."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from random import Random

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.backfill.runner import BackfillResult
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.prices.candles.storage import StoreResult
from tests.exchange_server import ExchangeServer
from tests.support.backfill import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    Backfill,
    FakeTime,
    all_candles,
    candles,
    fetches,
    generate_minutes,
    instrument_id,
    record,
)
from tests.support.quotes import load, quote


@pytest.mark.parametrize(("code", "calls"), [("binance", 2 * 2), ("coinbase", 2 * 5)])
def test_day_is_stored_completely_and_requested_once(
    code: str, calls: int, catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    rows = generate_minutes(DAY - HOUR, 26 * 60, missing=frozenset(range(400, 420)))
    for base in ("BTC", "ETH"):
        record(exchange_server, code, rows, base)

    result = backfill(code, DAY, DAY + timedelta(days=1))

    assert result == BackfillResult(StoreResult(2 * 1420), requests=calls)
    wanted = [row for row in rows if DAY.timestamp() <= row.opened_at < (DAY + timedelta(days=1)).timestamp()]
    assert [
        (row.opened_at.timestamp(), row.open, row.high, row.low, row.close, row.volume, row.source)
        for row in candles(catalog, "1m", code)
    ] == [(row.opened_at, row.open, row.high, row.low, row.close, row.volume, "exchange") for row in wanted]
    assert backfill(code, DAY, DAY + timedelta(days=1)) == BackfillResult(), "fetched candles are not requested again"
    assert len(exchange_server.requests(code)) == calls
    again = backfill(code, DAY, DAY + timedelta(days=1), again=True)
    assert again == BackfillResult(StoreResult(unchanged=2 * 1420), requests=calls)


def test_rolled_up_hours_and_days_match_the_exchange(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    record(exchange_server, "binance", generate_minutes(DAY, 1440, missing=frozenset(range(100, 200))))
    backfill("binance", DAY, DAY + timedelta(days=1), instruments=[instrument_id(catalog, "binance")])
    refresh_candles(catalog)
    listing = next(each for each in exchange_server.market.listings("binance") if each.base == "BTC")
    for resolution, seconds in (("1h", 3600), ("1d", 86400)):
        expected = exchange_server.market.candles("binance", listing, 0, 2**40, seconds)
        assert [
            (row.opened_at.timestamp(), row.open, row.high, row.low, row.close, row.volume)
            for row in candles(catalog, resolution, "binance")
        ] == [(row.opened_at, row.open, row.high, row.low, row.close, row.volume) for row in expected]


def test_any_order_and_live_collection_give_identical_tables(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    start = DAY + 12 * HOUR
    for code in ("binance", "coinbase", "kraken"):
        record(
            exchange_server,
            code,
            generate_minutes(DAY - timedelta(days=2), 5 * 1440, missing=frozenset(range(3700, 3800))),
        )
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
        random, pending = Random(seed), list(quotes)
        random.shuffle(pending)
        for interval in [intervals[number] for number in order] * 3:
            for code in random.sample(["binance", "coinbase", "kraken"], 3):
                load(catalog, *[pending.pop() for _ in range(min(20, len(pending)))], now=NOW)
                backfill(code, *interval, again=True)
                if random.random() < 0.5:
                    refresh_candles(catalog)
        load(catalog, *pending, now=NOW)
        refresh_candles(catalog)
        tables.append(all_candles(catalog))
    assert len(tables) == 3
    assert tables[0] == tables[1] == tables[2]
    sources = {row.source for code in ("binance", "kraken") for row in candles(catalog, "1m", code)}
    assert sources == {"exchange", "quotes"}, "both sources are used"


def test_concurrent_backfills_and_live_collection_give_identical_tables(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    for base in ("BTC", "ETH"):
        record(exchange_server, "binance", generate_minutes(DAY, 2 * 1440, missing=frozenset(range(900, 950))), base)
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
    for concurrent in (False, True):
        with transaction(catalog) as connection:
            for table in ("candles", "stale_candles", "prices", "candle_fetches"):
                connection.execute(sa.text(f"DELETE FROM {table}"))
        with ThreadPoolExecutor(4 if concurrent else 1) as pool:
            for future in [pool.submit(work) for work in (fetch, live, fetch, fetch)]:
                future.result()
        refresh_candles(catalog)
        tables.append(all_candles(catalog))
    assert tables[0] == tables[1]
    assert len(tables[0]) > 2 * (2520 - 50)


def test_only_complete_candles_are_stored(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill, time: FakeTime
) -> None:
    record(exchange_server, "binance", generate_minutes(NOW.replace(second=0) - HOUR, 120))
    end = NOW + timedelta(days=1)
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    assert backfill("binance", NOW - HOUR, end, **only_btc).stored == StoreResult(60)
    assert candles(catalog, "1m", "binance")[-1].opened_at == NOW.replace(second=0) - MINUTE
    time.now += 3 * MINUTE
    assert backfill("binance", NOW - HOUR, end, **only_btc) == BackfillResult(StoreResult(3), requests=1)


def test_late_candles_are_requested_again(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill, time: FakeTime
) -> None:
    rows = generate_minutes(NOW.replace(second=0) - 2 * HOUR, 120)
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    for known in ([], rows[:100], rows[:118]):
        record(exchange_server, "binance", known)
        backfill("binance", NOW - 2 * HOUR, NOW, **only_btc)
    record(exchange_server, "binance", rows)
    assert backfill("binance", NOW - 2 * HOUR, NOW, **only_btc).stored == StoreResult(2)
    assert [outcome for _, _, _, outcome, _ in fetches(catalog, "binance")] == ["stored"] * 3


def test_expired_minutes_are_replaced_by_hours_and_expired_hours_by_days(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    first = DAY - timedelta(days=40)
    record(exchange_server, "kraken", generate_minutes(first, 42 * 1440))
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
    assert (again.requests, again.unavailable) == (0, 0), "expired candles are not requested again"


def test_stored_minutes_are_kept_after_they_expire_at_the_exchange(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill, time: FakeTime
) -> None:
    record(exchange_server, "kraken", generate_minutes(DAY, 3 * 1440))
    interval = (NOW.replace(minute=0) - 6 * HOUR, NOW.replace(minute=0, second=0))
    backfill("kraken", *interval, instruments=[instrument_id(catalog, "kraken")])
    refresh_candles(catalog)
    before = all_candles(catalog)
    time.now += timedelta(days=3)
    assert backfill("kraken", *interval, instruments=[instrument_id(catalog, "kraken")], again=True).requests == 0
    refresh_candles(catalog)
    assert all_candles(catalog) == before


def test_range_without_candles_is_unavailable_and_not_requested_again(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    only_btc = {"instruments": [instrument_id(catalog, "coinbase")]}
    record(exchange_server, "coinbase", generate_minutes(DAY, 12 * 60))
    result = backfill("coinbase", DAY - timedelta(days=1), DAY + timedelta(days=1), **only_btc)
    assert result.stored.inserted == 720, "only minutes; days with minutes are rolled up"
    unavailable = [
        (resolution, start, end)
        for resolution, start, end, outcome, _ in fetches(catalog, "coinbase")
        if outcome != "stored"
    ]
    assert {resolution for resolution, _, _ in unavailable} == {"1m", "1h", "1d"}
    assert ("1d", DAY - timedelta(days=1), DAY) in unavailable
    requests = len(exchange_server.requests("coinbase"))
    backfill("coinbase", DAY - timedelta(days=1), DAY, again=True, **only_btc)
    assert len(exchange_server.requests("coinbase")) == requests


@pytest.mark.parametrize("code", ["binance", "coinbase"])
def test_years_before_the_listing_take_few_requests(
    code: str, catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    only_btc = {"instruments": [instrument_id(catalog, code)]}
    record(exchange_server, code, generate_minutes(DAY + 6 * HOUR, 12 * 60))
    result = backfill(code, DAY - timedelta(days=500), DAY + timedelta(days=1), **only_btc)
    assert result.stored == StoreResult(720), "only minutes; the first day, which is incomplete, is rolled up"
    assert result.requests < 15, "far fewer than 2,400 pages"
    first = DAY - timedelta(days=500)
    found = fetches(catalog, code)
    assert [row for row in found if row[1] == first] == [
        (resolution, first, DAY, "unavailable", 0) for resolution in ("1d", "1h", "1m")
    ]
    again = backfill(code, DAY - timedelta(days=500), DAY, **only_btc, again=True)
    assert again == BackfillResult(), "nothing is requested again"


def test_candles_no_longer_returned_by_the_exchange_are_kept(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Backfill
) -> None:
    only_btc = {"instruments": [instrument_id(catalog, "binance")]}
    record(exchange_server, "binance", generate_minutes(DAY, 300))
    backfill("binance", DAY, DAY + 5 * HOUR, **only_btc)
    before = all_candles(catalog)
    record(exchange_server, "binance", [])
    assert backfill("binance", DAY, DAY + 5 * HOUR, again=True, **only_btc) == BackfillResult(requests=1)
    assert all_candles(catalog) == before
    assert {outcome for _, _, _, outcome, _ in fetches(catalog, "binance")} == {"stored"}
