"""The DAG backfill_candles, run against the exchange server: it fetches exactly its data interval."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import load_settings
from tests.dags.conftest import DagRunner, task_states
from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle

CONFIGURATION = """
[coins]
BTC = {{ name = "Bitcoin", coingecko_id = "bitcoin" }}
[exchanges.coinbase]
name = "Coinbase"
enabled = true
base_url = "{coinbase}"
timeout_seconds = 2
instruments = ["BTC/USD"]
[exchanges.binance]
name = "Binance"
enabled = true
base_url = "{binance}"
timeout_seconds = 2
instruments = ["BTC/USDT"]
[exchanges.coingecko]
name = "CoinGecko"
enabled = true
base_url = "{coingecko}"
instruments = ["BTC/USD"]
"""

Run = Callable[[datetime], Any]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def run_dag(dag_runner: DagRunner, engine: sa.Engine, exchange_server: ExchangeServer) -> Run:
    """Runs the DAG for the interval that ends at a logical date."""
    addresses = {exchange: exchange_server.base_url(exchange) for exchange in ("coinbase", "binance", "coingecko")}
    dag_runner.configure(CONFIGURATION.format(**addresses))
    sync_catalog(engine, load_settings())
    return lambda moment: dag_runner.run("backfill_candles", logical_date=moment)


def stored_candles(engine: sa.Engine) -> list[tuple[str, str, int, datetime, datetime]]:
    query = (
        "SELECT exchange, resolution::text, count(*), min(opened_at), max(opened_at) FROM candle_history"
        " WHERE source = 'exchange' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def test_run_is_idempotent_and_fetches_only_its_interval(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer
) -> None:
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    newest -= timedelta(hours=newest.hour % 6)
    if datetime.now(UTC) - newest < timedelta(minutes=5):
        newest -= timedelta(hours=6)
    minutes = (newest - timedelta(minutes=number) for number in range(720, 0, -1))
    recorded = (RecordedCandle(int(opened.timestamp()), 1.0, 1.0, 1.0, 1.0, 1.0) for opened in minutes)
    exchange_server.market.record("coinbase", "BTC", "USD", recorded)
    first = run_dag(newest)
    assert task_states(first) == {
        "choose_exchanges": "success",
        "fetch_candles binance": "success",
        "fetch_candles coinbase": "success",
        "refresh_candles": "success",
        "report_failures": "skipped",
    }
    start, last = newest - timedelta(hours=6), newest - timedelta(minutes=1)
    expected = [("binance", "1m", 360, start, last), ("coinbase", "1m", 360, start, last)]
    assert stored_candles(engine) == expected
    with transaction(engine) as connection:
        before = connection.execute(sa.text("SELECT c::text FROM candles c ORDER BY 1")).scalars().all()
    series = 2 * 2  # both exchanges' instruments, and the index of each
    assert len(before) == series * (360 + 6 + len({start.date(), last.date()}))
    requests = len(exchange_server.requests())
    run_dag(newest)
    assert len(exchange_server.requests()) == 2 * requests, "corrected candles must be picked up"
    with transaction(engine) as connection:
        assert connection.execute(sa.text("SELECT c::text FROM candles c ORDER BY 1")).scalars().all() == before
    run_dag(newest - timedelta(hours=6))
    assert stored_candles(engine)[0] == ("binance", "1m", 720, start - timedelta(hours=6), last)


def test_failing_exchange_is_reported_without_affecting_others(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    exchange_server.fail("coinbase", "status", status=451)
    run = run_dag(datetime(2026, 3, 2, 6, tzinfo=UTC))
    found = task_states(run)
    assert found == {
        "choose_exchanges": "success",
        "fetch_candles binance": "success",
        "fetch_candles coinbase": "failed",
        "refresh_candles": "success",
        "report_failures": "failed",
    }
    assert [row[0] for row in stored_candles(engine)] == ["binance"]
    output = capfd.readouterr()
    assert "Candles are missing for coinbase" in output.out + output.err
