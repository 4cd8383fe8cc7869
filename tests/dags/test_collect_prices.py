"""The DAG collect_prices, run with the exchange server, Postgres and an SMTP server."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.settings import load_settings
from tests.dags.conftest import DagRunner, task_states
from tests.exchange_server import ExchangeServer
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import subscribe

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

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def run_dag(dag_runner: DagRunner, exchange_server: ExchangeServer, mailbox: Mailbox, tmp_path: Path) -> Run:
    dag_runner.configure(
        CONFIGURATION.format(kraken=exchange_server.base_url("kraken"), binance=exchange_server.base_url("binance")),
        SMTP_URL=mailbox.url,
        ALERTS_FILE=str(tmp_path / "alerts.txt"),
    )
    return lambda: dag_runner.run("collect_prices")


def test_two_cycles_store_prices_and_send_an_alert(
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
    assert task_states(first) == {
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
        price.exchange: price.price
        for price in read_latest_prices(engine, datetime.now(UTC), "BTC")
        if price.quote == "USD"
    }
    assert prices == {"kraken": 106.0, "index": 106.0}
    assert [message["Subject"] for message in mailbox.messages] == ["BTC up 6% to 106.00 USD on Kraken"]
    assert "BTC/USD kraken 106.0 +6.00%" in (tmp_path / "alerts.txt").read_text()


def test_failing_exchange_is_reported_without_affecting_others(
    run_dag: Run, engine: sa.Engine, exchange_server: ExchangeServer
) -> None:
    exchange_server.fail("kraken", "status", status=451)
    run = run_dag()
    found = task_states(run)
    assert found.pop("fetch_and_load kraken") == "failed"
    assert found.pop("report_failures") == "failed"
    assert set(found.values()) == {"success"}
    assert str(run.state) == "failed"
    assert {price.exchange for price in read_latest_prices(engine, datetime.now(UTC))} == {"binance", "index"}
