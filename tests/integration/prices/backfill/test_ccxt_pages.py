"""Backfilling through ccxt from an exchange that returns at most 300 candles."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.exchanges.ccxt_adapter import CcxtAdapter
from coinwatch.exchanges.ccxt_client import CcxtClient
from coinwatch.prices.backfill.runner import BackfillResult, backfill_range
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle
from tests.support.backfill import FakeTime
from tests.support.settings import exchange, make_settings

DAY = datetime(2026, 11, 20, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)
MINUTES = 24 * 60

Run = Callable[..., BackfillResult]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(DAY + timedelta(days=2))


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    okx = exchange(
        "OKX",
        "BTC/USDT",
        adapter="ccxt",
        ccxt_id="okx",
        base_url=exchange_server.base_url("okx"),
        history_calls_per_second=1000,
    )
    return make_settings(exchanges={"okx": okx})


@pytest.fixture
def backfill(catalog: sa.Engine, settings: Settings, time: FakeTime) -> Run:
    def run(**more: Any) -> BackfillResult:
        return backfill_range(catalog, settings, "okx", DAY, NEXT_DAY, clock=time.clock, sleep=time.sleep, **more)

    return run


def minutes_with_trades(*ranges: range) -> list[RecordedCandle]:
    first = int(DAY.timestamp())
    return [RecordedCandle(first + 60 * minute, 1.0, 2.0, 0.5, 1.5, 10.0) for part in ranges for minute in part]


def stored(engine: sa.Engine, resolution: str = "1m") -> int:
    query = "SELECT count(*) FROM candles WHERE resolution = CAST(:resolution AS candle_resolution)"
    with transaction(engine) as connection:
        return int(connection.execute(sa.text(query), {"resolution": resolution}).scalar_one())


def unavailable(engine: sa.Engine) -> list[tuple[int, int]]:
    """The unavailable ranges of minutes, counted from the start of the day."""
    query = (
        "SELECT started_at, ended_at FROM candle_fetches WHERE outcome = 'unavailable' AND resolution = '1m' ORDER BY 1"
    )
    with transaction(engine) as connection:
        rows = connection.execute(sa.text(query)).all()
    return [tuple((moment - DAY) // timedelta(minutes=1) for moment in row) for row in rows]  # type: ignore[misc]


def limits(exchange_server: ExchangeServer) -> set[int]:
    return {int(each.query["limit"]) for each in exchange_server.requests("okx") if "limit" in each.query}


def test_all_minutes_of_a_day_are_fetched_within_the_page_size_of_the_exchange(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Run, time: FakeTime
) -> None:
    exchange_server.market.clock = time.clock

    result = backfill()

    assert stored(catalog) == 1440
    assert (result.unavailable, unavailable(catalog), result.failed) == (0, [], {})
    assert max(limits(exchange_server)) == 300
    assert result.requests == 5


def test_only_minutes_that_were_requested_are_unavailable(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Run, time: FakeTime
) -> None:
    exchange_server.market.clock = time.clock
    exchange_server.market.record("okx", "BTC", "USDT", minutes_with_trades(range(500), range(900, 1440)))

    backfill()

    assert stored(catalog) == 1040
    assert unavailable(catalog) == [(540, 840), (840, 900)]


@pytest.mark.parametrize(("keep", "most"), [("oldest", 50), ("oldest", 299), ("newest", 50), ("newest", 200)])
def test_page_shorter_than_the_stated_limit_loses_nothing(
    catalog: sa.Engine,
    exchange_server: ExchangeServer,
    backfill: Run,
    time: FakeTime,
    monkeypatch: pytest.MonkeyPatch,
    keep: str,
    most: int,
) -> None:
    exchange_server.market.clock = time.clock
    exchange_server.market.record("okx", "BTC", "USDT", minutes_with_trades(range(100, 1440)))
    call = CcxtClient.call

    def shorter(self: CcxtClient, method: Any, *arguments: object) -> Any:
        rows = call(self, method, *arguments)
        return rows if method.__name__ != "fetch_ohlcv" else rows[:most] if keep == "oldest" else rows[-most:]

    monkeypatch.setattr(CcxtClient, "call", shorter)

    backfill()

    assert stored(catalog) == 1340
    assert unavailable(catalog) == [(0, 100)]


def test_only_spot_markets_are_requested(exchange_server: ExchangeServer, backfill: Run, time: FakeTime) -> None:
    exchange_server.market.clock = time.clock

    backfill()

    kinds = [each.query.get("instType") for each in exchange_server.requests("okx") if "instruments" in each.path]
    assert kinds == ["SPOT"]


def test_misaligned_candles_are_rejected_and_counted(
    catalog: sa.Engine, exchange_server: ExchangeServer, backfill: Run, time: FakeTime
) -> None:
    exchange_server.market.clock = time.clock
    first = int(DAY.timestamp())
    shifted = [RecordedCandle(first + 60 * minute + 20, 1.0, 2.0, 0.5, 1.5, 10.0) for minute in range(1440)]
    exchange_server.market.record("okx", "BTC", "USDT", shifted)

    result = backfill()

    assert stored(catalog) == 0
    assert sum(result.rejected.values()) > 0


def test_page_size_is_that_of_ccxt(settings: Settings) -> None:
    sizes = {}
    for code in ("okx", "bitstamp", "bitfinex", "gemini", "bitget"):
        changed = settings.exchanges["okx"].model_copy(update={"ccxt_id": code})
        adapter = CcxtAdapter(code, changed, settings)
        sizes[code] = adapter.candles_per_call
        adapter.close()

    assert sizes == {"okx": 300, "bitstamp": 1000, "bitfinex": 1000, "gemini": 100, "bitget": 200}
