"""Gaps are filled from the exchanges' own candles; what those no longer have is marked with the reason."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import RateLimited
from coinwatch.exchanges.models import Candle
from coinwatch.prices.backfill.gaps import find_gaps, instrument_gaps, retry_gaps
from coinwatch.prices.backfill.repair import RepairResult, exchanges_with_open_gaps, repair_exchange, repair_gaps
from coinwatch.prices.backfill.runner import backfill_range
from coinwatch.prices.candles.storage import StoredCandle, refresh_candles, store_candles
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import candles as made_up
from tests.exchange_server.recorded import RecordedCandle
from tests.support.settings import exchange, make_settings

NOW = datetime(2026, 3, 5, 12, 7, 20, tzinfo=UTC)
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 5)
NAMES = {"binance": "BTC/USDT", "coinbase": "BTC/USD", "kraken": "BTC/USD", "coinnews": "BTC/USD"}
ID = "SELECT i.id FROM instruments i JOIN exchanges e ON e.id = i.exchange_id WHERE e.code = :code AND base = 'BTC'"


@pytest.fixture
def exchange_server(exchange_server: ExchangeServer) -> ExchangeServer:
    exchange_server.market.clock = lambda: NOW
    return exchange_server


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    exchanges = {
        code: exchange(code.capitalize(), pair, base_url=exchange_server.base_url(code), timeout_seconds=5)
        for code, pair in NAMES.items()
    }
    return make_settings(exchanges=exchanges)


def moment(text: str) -> datetime:
    """``02 11:30`` of March 2026."""
    return datetime.strptime(f"2026-03-{text}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


def bitcoin(engine: sa.Engine, code: str) -> int:
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(ID), {"code": code}).scalar_one())


def store_minutes(engine: sa.Engine, code: str, first: str, last: str, every: int = 3) -> None:
    """What live collection leaves: a candle every three minutes, made of quotes."""
    number, opened, rows = bitcoin(engine, code), moment(first), []
    while opened <= moment(last):
        rows.append(StoredCandle(number, Candle(opened, 1, 1, 1, 1), samples=1, source="quotes"))
        opened += timedelta(minutes=every)
    store_candles(engine, "1m", rows)


def cut(engine: sa.Engine, first: str, last: str) -> None:
    with transaction(engine) as connection:
        bounds = {"first": moment(first), "last": moment(last)}
        for table, column in (("candles", "opened_at"), ("prices", "observed_at")):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE {column} >= :first AND {column} < :last"), bounds)


def stored(engine: sa.Engine) -> list[tuple[object, ...]]:
    with transaction(engine) as connection:
        query = "SELECT * FROM candles ORDER BY instrument_id, resolution, opened_at"
        return [tuple(row) for row in connection.execute(sa.text(query))]


def gaps(engine: sa.Engine, code: str) -> list[tuple[str, str, str]]:
    """Start, end, status and reason, oldest first."""
    query = "SELECT started_at, ended_at, status, reason FROM gaps WHERE instrument_id = :id ORDER BY started_at"
    with transaction(engine) as connection:
        found = connection.execute(sa.text(query), {"id": bitcoin(engine, code)}).all()
    return [
        (f"{row.started_at:%d %H:%M}", f"{row.ended_at:%d %H:%M}", f"{row.status} {row.reason or ''}".strip())
        for row in found
    ]


def find(engine: sa.Engine, settings: Settings, now: datetime = NOW) -> None:
    find_gaps(engine, settings, FIRST, LAST, now)


def repair(engine: sa.Engine, settings: Settings, code: str, now: datetime = NOW) -> RepairResult:
    return repair_exchange(engine, settings, code, clock=lambda: now, sleep=lambda _: None)


def test_a_day_cut_out_by_hand_is_found_and_repaired_to_what_it_was(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    backfill_range(catalog, settings, "binance", moment("02 00:00"), NOW, clock=lambda: NOW, sleep=lambda _: None)
    refresh_candles(catalog)
    before = stored(catalog)
    find(catalog, settings)
    assert gaps(catalog, "binance") == []
    cut(catalog, "03 00:00", "04 00:00")
    find(catalog, settings)
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", "open")]
    assert exchanges_with_open_gaps(catalog, NOW) == ["binance"]
    result = repair(catalog, settings, "binance")
    assert (result.filled, result.unavailable, result.requests) == (1, 0, 2)
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", "repaired")]
    assert stored(catalog) == before
    assert exchanges_with_open_gaps(catalog, NOW) == []


def test_a_day_that_the_exchange_no_longer_has_is_marked_and_not_asked_for_again(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    backfill_range(catalog, settings, "binance", moment("02 00:00"), NOW, clock=lambda: NOW, sleep=lambda _: None)
    cut(catalog, "03 00:00", "04 00:00")
    later = made_up(int(moment("04 00:00").timestamp()), int(NOW.timestamp()), 60)
    kept = [RecordedCandle(c.opened_at, c.open, c.high, c.low, c.close, c.volume) for c in later]
    exchange_server.market.record("binance", "BTC", "USDT", kept)
    find(catalog, settings)
    assert repair(catalog, settings, "binance").unavailable == 1
    reason = "Binance has no candles there: nobody traded, or they were not kept"
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", f"unavailable {reason}")]
    with transaction(catalog) as connection:
        [hole] = instrument_gaps(connection, bitcoin(catalog, "binance"), moment("02 00:00"), NOW)
    assert (hole.started_at, hole.ended_at, hole.reason) == (moment("03 00:00"), moment("04 00:00"), reason)
    find(catalog, settings)
    asked = len(exchange_server.requests("binance"))
    assert repair_gaps(catalog, settings, clock=lambda: NOW) == ([], {})
    assert len(exchange_server.requests("binance")) == asked

    exchange_server.market.reset()
    assert retry_gaps(catalog, since=moment("02 00:00")) == 1
    repair(catalog, settings, "binance")
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", "repaired")], "asked again by hand, and it had them"


def test_krakens_minutes_end_after_twelve_hours_and_its_hours_are_what_is_left(
    catalog: sa.Engine, settings: Settings
) -> None:
    store_minutes(catalog, "kraken", "04 00:00", "04 16:00")
    store_minutes(catalog, "kraken", "05 11:00", "05 12:06")
    find(catalog, settings)
    assert gaps(catalog, "kraken") == [("04 16:01", "05 00:00", "open"), ("05 00:00", "05 11:00", "open")]
    repair(catalog, settings, "kraken")
    reason = "unavailable Kraken keeps minutes for 12 hours only; only candles of hours are there"
    assert gaps(catalog, "kraken") == [
        ("04 16:01", "05 00:00", reason),
        ("05 00:00", "05 00:10", "unavailable Kraken keeps minutes for 12 hours only"),
        ("05 00:10", "05 11:00", "repaired"),
    ]
    hours = "SELECT count(*) FROM candles WHERE resolution = '1h' AND source = 'exchange' AND opened_at < :until"
    with transaction(catalog) as connection:
        assert connection.execute(sa.text(hours), {"until": moment("05 00:00")}).scalar_one() == 8


def test_an_exchange_without_candles_is_not_asked(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    store_minutes(catalog, "coinnews", "05 08:00", "05 09:00")
    store_minutes(catalog, "coinnews", "05 10:00", "05 12:06")
    find(catalog, settings)
    assert repair(catalog, settings, "coinnews") == RepairResult("coinnews", unavailable=1)
    assert gaps(catalog, "coinnews") == [("05 09:01", "05 10:00", "unavailable Coinnews offers no candles")]
    assert exchange_server.requests("coinnews") == []


def test_a_day_of_many_small_gaps_is_asked_for_in_a_few_calls(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    for hour in range(4, 10):
        for minutes in (0, 20, 40):
            store_minutes(catalog, "binance", f"05 0{hour}:{minutes:02}", f"05 0{hour}:{minutes:02}")
    store_minutes(catalog, "binance", "05 10:00", "05 12:06")
    find(catalog, settings)
    assert len(gaps(catalog, "binance")) == 18
    result = repair(catalog, settings, "binance")
    assert (result.filled, result.requests) == (18, 1)


def test_minutes_that_may_only_be_late_stay_open(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    store_minutes(catalog, "binance", "05 08:00", "05 09:00")
    exchange_server.market.record("binance", "BTC", "USDT", [])
    find(catalog, settings)
    repair(catalog, settings, "binance")
    assert gaps(catalog, "binance") == [("05 09:01", "05 11:58", "open")]
    store_minutes(catalog, "coinbase", "05 11:00", "05 11:40")
    find(catalog, settings)
    repair(catalog, settings, "coinbase")
    assert gaps(catalog, "coinbase")[-1] == ("05 11:52", "05 11:58", "open"), "too young to be asked for"


def test_an_exchange_that_is_away_leaves_its_gaps_open_for_a_week(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    for code in ("binance", "coinbase", "kraken"):
        store_minutes(catalog, code, "05 08:00", "05 09:00")
        store_minutes(catalog, code, "05 10:00", "05 12:06")
    find(catalog, settings)
    exchange_server.market.delist("binance", "BTC", "USDT")
    pause = sa.text("""
      INSERT INTO exchange_status (exchange_id, blocked_until, last_error)
      SELECT id, :until, 'too many requests' FROM exchanges WHERE code = 'coinbase'
    """)
    with transaction(catalog) as connection:
        connection.execute(pause, {"until": NOW + timedelta(days=8)})
    results, failed = repair_gaps(catalog, settings, clock=lambda: NOW, sleep=lambda _: None)
    assert [(result.exchange, result.filled, list(result.failed)) for result in results] == [
        ("binance", 0, ["BTC/USDT"]),
        ("kraken", 1, []),
    ], "the others go on"
    assert "too many requests" in failed["coinbase"]
    for code in ("binance", "coinbase"):
        assert gaps(catalog, code) == [("05 09:01", "05 10:00", "open")]
    later = NOW + timedelta(days=7)
    repair(catalog, settings, "binance", later)
    with pytest.raises(RateLimited, match="too many requests"):
        repair(catalog, settings, "coinbase", later)
    for code, words in (("binance", "Binance unknown symbol BTCUSDT"), ("coinbase", "too many requests")):
        [(_, _, state)] = gaps(catalog, code)
        assert state.startswith("unavailable not filled within a week: ")
        assert words in state
