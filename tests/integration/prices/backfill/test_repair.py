"""Gaps are filled with the exchanges' own candles; what those do not have becomes unavailable, with the reason."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.errors import RateLimited
from coinwatch.prices.backfill.gaps import find_gaps, instrument_gaps, retry_gaps
from coinwatch.prices.backfill.repair import RepairResult, exchanges_with_open_gaps, repair_exchange, repair_gaps
from coinwatch.prices.backfill.runner import backfill_range
from coinwatch.prices.candles.refresh import refresh_candles
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.market import candles as generated
from tests.exchange_server.recorded import RecordedCandle
from tests.support.backfill import gap_rows, instrument_id, march, store_minutes
from tests.support.settings import exchange, make_settings

NOW = datetime(2026, 3, 5, 12, 7, 20, tzinfo=UTC)
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 5)
NAMES = {"binance": "BTC/USDT", "coinbase": "BTC/USD", "kraken": "BTC/USD", "coingecko": "BTC/USD"}


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


def delete_minutes(engine: sa.Engine, first: str, last: str) -> None:
    with transaction(engine) as connection:
        bounds = {"first": march(first), "last": march(last)}
        for table, column in (("candles", "opened_at"), ("prices", "observed_at")):
            connection.execute(sa.text(f"DELETE FROM {table} WHERE {column} >= :first AND {column} < :last"), bounds)


def stored(engine: sa.Engine) -> list[tuple[object, ...]]:
    with transaction(engine) as connection:
        query = "SELECT * FROM candles ORDER BY instrument_id, resolution, opened_at"
        return [tuple(row) for row in connection.execute(sa.text(query))]


def gaps(engine: sa.Engine, code: str) -> list[tuple[str, str, str]]:
    return gap_rows(engine, instrument_id(engine, code))


def find(engine: sa.Engine, settings: Settings, now: datetime = NOW) -> None:
    find_gaps(engine, settings, FIRST, LAST, now)


def repair(engine: sa.Engine, settings: Settings, code: str, now: datetime = NOW) -> RepairResult:
    return repair_exchange(engine, settings, code, clock=lambda: now, sleep=lambda _: None)


def test_deleted_day_is_found_and_restored(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    backfill_range(catalog, settings, "binance", march("02 00:00"), NOW, clock=lambda: NOW, sleep=lambda _: None)
    refresh_candles(catalog)
    before = stored(catalog)
    find(catalog, settings)
    assert gaps(catalog, "binance") == []
    delete_minutes(catalog, "03 00:00", "04 00:00")
    find(catalog, settings)
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", "open")]
    assert exchanges_with_open_gaps(catalog, NOW) == ["binance"]
    result = repair(catalog, settings, "binance")
    assert (result.filled, result.unavailable, result.requests) == (1, 0, 2)
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", "repaired")]
    assert stored(catalog) == before
    assert exchanges_with_open_gaps(catalog, NOW) == []


def test_expired_day_becomes_unavailable_and_is_not_requested_again(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    backfill_range(catalog, settings, "binance", march("02 00:00"), NOW, clock=lambda: NOW, sleep=lambda _: None)
    delete_minutes(catalog, "03 00:00", "04 00:00")
    later = generated(int(march("04 00:00").timestamp()), int(NOW.timestamp()), 60)
    kept = [RecordedCandle(c.opened_at, c.open, c.high, c.low, c.close, c.volume) for c in later]
    exchange_server.market.record("binance", "BTC", "USDT", kept)
    find(catalog, settings)
    assert repair(catalog, settings, "binance").unavailable == 1
    reason = "Binance has no candles for this time (no trades, or no longer available)"
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", f"unavailable {reason}")]
    with transaction(catalog) as connection:
        [gap] = instrument_gaps(connection, instrument_id(catalog, "binance"), march("02 00:00"), NOW)
    assert (gap.started_at, gap.ended_at, gap.reason) == (march("03 00:00"), march("04 00:00"), reason)
    find(catalog, settings)
    requests = len(exchange_server.requests("binance"))
    assert repair_gaps(catalog, settings, clock=lambda: NOW) == ([], {})
    assert len(exchange_server.requests("binance")) == requests

    exchange_server.market.reset()
    assert retry_gaps(catalog, since=march("02 00:00")) == 1
    repair(catalog, settings, "binance")
    assert gaps(catalog, "binance") == [("03 00:00", "04 00:00", "repaired")], "requested again after retry_gaps"


def test_hours_replace_minutes_that_kraken_no_longer_keeps(catalog: sa.Engine, settings: Settings) -> None:
    store_minutes(catalog, instrument_id(catalog, "kraken"), "04 00:00", "04 16:00")
    store_minutes(catalog, instrument_id(catalog, "kraken"), "05 11:00", "05 12:06")
    find(catalog, settings)
    assert gaps(catalog, "kraken") == [("04 16:01", "05 00:00", "open"), ("05 00:00", "05 11:00", "open")]
    repair(catalog, settings, "kraken")
    reason = "unavailable Kraken keeps 1-minute candles for only 12 hours; only 1-hour candles are available"
    assert gaps(catalog, "kraken") == [
        ("04 16:01", "05 00:00", reason),
        ("05 00:00", "05 00:10", "unavailable Kraken keeps 1-minute candles for only 12 hours"),
        ("05 00:10", "05 11:00", "repaired"),
    ]
    hours = "SELECT count(*) FROM candles WHERE resolution = '1h' AND source = 'exchange' AND opened_at < :until"
    with transaction(catalog) as connection:
        assert connection.execute(sa.text(hours), {"until": march("05 00:00")}).scalar_one() == 8


def test_exchange_without_candles_is_not_called(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    store_minutes(catalog, instrument_id(catalog, "coingecko"), "05 08:00", "05 09:00")
    store_minutes(catalog, instrument_id(catalog, "coingecko"), "05 10:00", "05 12:06")
    find(catalog, settings)
    assert repair(catalog, settings, "coingecko") == RepairResult("coingecko", unavailable=1)
    assert gaps(catalog, "coingecko") == [("05 09:01", "05 10:00", "unavailable Coingecko does not offer candles")]
    assert exchange_server.requests("coingecko") == []


def test_neighboring_gaps_are_requested_together(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    for hour in range(4, 10):
        for minutes in (0, 20, 40):
            store_minutes(
                catalog, instrument_id(catalog, "binance"), f"05 0{hour}:{minutes:02}", f"05 0{hour}:{minutes:02}"
            )
    store_minutes(catalog, instrument_id(catalog, "binance"), "05 10:00", "05 12:06")
    find(catalog, settings)
    assert len(gaps(catalog, "binance")) == 18
    result = repair(catalog, settings, "binance")
    assert (result.filled, result.requests) == (18, 1)


def test_recent_minutes_stay_open(catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer) -> None:
    store_minutes(catalog, instrument_id(catalog, "binance"), "05 08:00", "05 09:00")
    exchange_server.market.record("binance", "BTC", "USDT", [])
    find(catalog, settings)
    repair(catalog, settings, "binance")
    assert gaps(catalog, "binance") == [("05 09:01", "05 11:58", "open")]
    store_minutes(catalog, instrument_id(catalog, "coinbase"), "05 11:00", "05 11:40")
    find(catalog, settings)
    repair(catalog, settings, "coinbase")
    assert gaps(catalog, "coinbase")[-1] == ("05 11:52", "05 11:58", "open"), "too recent to be requested"


def test_gaps_of_an_unreachable_exchange_stay_open_for_a_week(
    catalog: sa.Engine, settings: Settings, exchange_server: ExchangeServer
) -> None:
    for code in ("binance", "coinbase", "kraken"):
        store_minutes(catalog, instrument_id(catalog, code), "05 08:00", "05 09:00")
        store_minutes(catalog, instrument_id(catalog, code), "05 10:00", "05 12:06")
    find(catalog, settings)
    exchange_server.market.delist("binance", "BTC", "USDT")
    rate_limit = sa.text("""
      INSERT INTO exchange_status (exchange_id, blocked_until, last_error)
      SELECT id, :until, 'too many requests' FROM exchanges WHERE code = 'coinbase'
    """)
    with transaction(catalog) as connection:
        connection.execute(rate_limit, {"until": NOW + timedelta(days=8)})
    results, failed = repair_gaps(catalog, settings, clock=lambda: NOW, sleep=lambda _: None)
    assert [(result.exchange, result.filled, list(result.failed)) for result in results] == [
        ("binance", 0, ["BTC/USDT"]),
        ("kraken", 1, []),
    ], "other exchanges are still repaired"
    assert "too many requests" in failed["coinbase"]
    for code in ("binance", "coinbase"):
        assert gaps(catalog, code) == [("05 09:01", "05 10:00", "open")]
    later = NOW + timedelta(days=7)
    repair(catalog, settings, "binance", later)
    with pytest.raises(RateLimited, match="too many requests"):
        repair(catalog, settings, "coinbase", later)
    for code, error in (("binance", "unknown symbol BTCUSDT"), ("coinbase", "too many requests")):
        [(_, _, status)] = gaps(catalog, code)
        assert status.startswith("unavailable not filled within a week")
        assert error in status
