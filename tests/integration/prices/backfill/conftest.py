"""Four exchanges on the exchange server, and a fake clock."""

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.prices.backfill.runner import BackfillResult, backfill_range
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import Settings
from tests.exchange_server import ExchangeServer
from tests.support.backfill import EXCHANGE_CODES, Backfill, FakeTime
from tests.support.settings import EXCHANGES, exchange, make_settings


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def exchange_server(exchange_server: ExchangeServer, time: FakeTime) -> ExchangeServer:
    exchange_server.market.clock = time.clock
    return exchange_server


@pytest.fixture
def settings(exchange_server: ExchangeServer) -> Settings:
    exchanges = {
        code: {
            **EXCHANGES.get(code, exchange("CoinGecko")),
            "base_url": exchange_server.base_url(code),
            "timeout_seconds": 2,
            "history_calls_per_second": 1000,
        }
        for code in EXCHANGE_CODES
    }
    return make_settings(exchanges=exchanges)


@pytest.fixture
def catalog(engine: sa.Engine, settings: Settings) -> sa.Engine:
    sync_catalog(engine, settings)
    return engine


@pytest.fixture
def backfill(catalog: sa.Engine, settings: Settings, time: FakeTime) -> Backfill:
    """``backfill(code, start, end, ...)`` with the fake clock."""

    def run(code: str, start: datetime, end: datetime, **more: Any) -> BackfillResult:
        return backfill_range(catalog, settings, code, start, end, clock=time.clock, sleep=time.sleep, **more)

    return run
