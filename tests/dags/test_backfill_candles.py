"""The DAG run for real against the exchanges' far ends: it fetches its data interval, no more and no less."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.database import transaction
from coinwatch.prices.catalog import sync_catalog
from coinwatch.settings import load_settings
from tests.conftest import Database
from tests.exchange_server import ExchangeServer
from tests.exchange_server.recorded import RecordedCandle

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def exchange_server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as server:
        yield server


@pytest.fixture
def run_dag(
    airflow_database: None,
    database: Database,
    engine: sa.Engine,
    exchange_server: ExchangeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """Run the DAG for the interval before a moment; gives its run."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings

    configuration = tmp_path / "coinwatch.toml"
    addresses = {code: exchange_server.base_url(code) for code in ("coinbase", "binance", "coingecko")}
    configuration.write_text(CONFIGURATION.format(**addresses))
    for name, value in {
        "CONFIG": str(configuration),
        "DATABASE_URL": database.url("app"),
        "SECRET_KEY": "for-this-test-run-only",
        "STATSD_PORT": "1",
    }.items():
        monkeypatch.setenv(f"COINWATCH_{name}", value)
    get_settings.cache_clear()
    get_engine.cache_clear()
    sync_catalog(engine, load_settings())

    def run(moment: datetime) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(str(ROOT / "dags")).dags["backfill_candles"].test(logical_date=moment)

    yield run
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


def states(run: Any) -> dict[str, str]:
    return {
        f"{task.task_id} {task.rendered_map_index or ''}".strip(): str(task.state) for task in run.get_task_instances()
    }


def stored(engine: sa.Engine) -> list[tuple[str, str, int, datetime, datetime]]:
    query = (
        "SELECT exchange, resolution::text, count(*), min(opened_at), max(opened_at) FROM candle_history"
        " WHERE source = 'exchange' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.mark.timeout(240)
def test_a_run_fetches_exactly_its_interval_and_running_it_again_changes_nothing(
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
    assert states(first) == {
        "choose_exchanges": "success",
        "fetch_candles binance": "success",
        "fetch_candles coinbase": "success",
        "refresh_candles": "success",
        "report_failures": "skipped",
    }
    start, last = newest - timedelta(hours=6), newest - timedelta(minutes=1)
    expected = [("binance", "1m", 360, start, last), ("coinbase", "1m", 360, start, last)]
    assert stored(engine) == expected
    with transaction(engine) as connection:
        before = connection.execute(sa.text("SELECT c::text FROM candles c ORDER BY 1")).scalars().all()
    assert len(before) == 2 * (360 + 6 + len({start.date(), last.date()}))
    asked = len(exchange_server.requests())
    run_dag(newest)
    assert len(exchange_server.requests()) == 2 * asked, (
        "the exchanges are asked again, in case they corrected something"
    )
    with transaction(engine) as connection:
        assert connection.execute(sa.text("SELECT c::text FROM candles c ORDER BY 1")).scalars().all() == before
    run_dag(newest - timedelta(hours=6))
    assert stored(engine)[0] == ("binance", "1m", 720, start - timedelta(hours=6), last)


@pytest.mark.timeout(240)
def test_an_exchange_that_fails_is_red_and_named_and_stops_nothing_else(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer, capfd: pytest.CaptureFixture[str]
) -> None:
    exchange_server.fail("coinbase", "status", status=451)
    run = run_dag(datetime(2026, 3, 2, 6, tzinfo=UTC))
    found = states(run)
    assert found == {
        "choose_exchanges": "success",
        "fetch_candles binance": "success",
        "fetch_candles coinbase": "failed",
        "refresh_candles": "success",
        "report_failures": "failed",
    }
    assert [row[0] for row in stored(engine)] == ["binance"]
    said = capfd.readouterr()
    assert "Candles of coinbase are missing" in said.out + said.err
