"""The DAG run for real: exchanges' far ends, Postgres and SMTP, through Airflow's own task runner."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.history.latest import latest_prices
from coinwatch.settings import load_settings
from tests.conftest import Database
from tests.exchange_server import ExchangeServer
from tests.support.smtp_server import Mailbox, smtp_server
from tests.support.subscriptions import subscribe

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
[coins]
BTC = {{ name = "Bitcoin", coingecko_id = "bitcoin" }}
[exchanges.kraken]
name = "Kraken"
enabled = true
base_url = "{kraken}"
timeout_seconds = 2
instruments = ["BTC/USD"]
[exchanges.binance]
name = "Binance"
enabled = true
base_url = "{binance}"
timeout_seconds = 2
instruments = ["BTC/USDT"]
"""

Run = Callable[[], Any]


@pytest.fixture
def exchange_server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as server:
        yield server


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def run_dag(
    airflow_database: None,
    database: Database,
    exchange_server: ExchangeServer,
    mailbox: Mailbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """Run the DAG once; gives its run."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings

    configuration = tmp_path / "coinwatch.toml"
    configuration.write_text(
        CONFIGURATION.format(kraken=exchange_server.base_url("kraken"), binance=exchange_server.base_url("binance"))
    )
    for name, value in {
        "CONFIG": str(configuration),
        "DATABASE_URL": database.url("app"),
        "SECRET_KEY": "for-this-test-run-only",
        "SMTP_URL": mailbox.url,
        "ALERTS_FILE": str(tmp_path / "alerts.txt"),
        "STATSD_PORT": "1",
    }.items():
        monkeypatch.setenv(f"COINWATCH_{name}", value)
    get_settings.cache_clear()
    get_engine.cache_clear()

    def run() -> Any:
        from airflow.dag_processing.dagbag import DagBag

        dag = DagBag(str(ROOT / "dags")).dags["collect_prices"]
        return dag.test(logical_date=datetime.now(UTC))

    yield run
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


def states(run: Any) -> dict[str, str]:
    return {
        f"{task.task_id} {task.rendered_map_index or ''}".strip(): str(task.state) for task in run.get_task_instances()
    }


@pytest.mark.timeout(240)
def test_two_cycles_bring_prices_an_index_an_alert_and_a_mail(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer, mailbox: Mailbox, tmp_path: Path
) -> None:
    sync_catalog(engine, load_settings())
    exchange_server.market.set_price("kraken", "BTC", "USD", 100.0)
    subscribe(
        engine,
        email="ada@example.org",
        coin="BTC",
        exchange="kraken",
        rule=Rule(threshold=5),
        now=datetime.now(UTC),
        confirmed=True,
    )
    first = run_dag()
    assert str(first.state) == "success"
    assert states(first) == {
        "choose_exchanges": "success",
        "fetch_and_load binance": "success",
        "fetch_and_load kraken": "success",
        "compute_index": "success",
        "push_gauges": "success",
        "match_alerts": "success",
        "send_emails": "success",
        "report_failures": "skipped",
    }
    assert mailbox.messages == []
    exchange_server.market.set_price("kraken", "BTC", "USD", 106.0)
    run_dag()
    prices = {
        price.exchange: price.price for price in latest_prices(engine, datetime.now(UTC), "BTC") if price.quote == "USD"
    }
    assert prices == {"kraken": 106.0, "index": 106.0}
    assert [message["Subject"] for message in mailbox.messages] == ["BTC +6.00%: 106.00 USD on Kraken"]
    assert "BTC/USD kraken 106.0 +6.00%" in (tmp_path / "alerts.txt").read_text()


@pytest.mark.timeout(240)
def test_a_failing_exchange_is_red_and_named_and_stops_nothing_else(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("kraken", "status", status=451)
    run = run_dag()
    found = states(run)
    assert found.pop("fetch_and_load kraken") == "failed"
    assert found.pop("report_failures") == "failed"
    assert set(found.values()) == {"success"}
    assert str(run.state) == "failed"
    assert {price.exchange for price in latest_prices(engine, datetime.now(UTC))} == {"binance", "index"}
