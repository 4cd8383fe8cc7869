"""coinwatch behind PgBouncer in transaction mode, where a session doesn't outlive a transaction."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from coinwatch import pipeline
from coinwatch.alerts.backtest import backtest
from coinwatch.alerts.rules import Rule
from coinwatch.clock import utc_now
from coinwatch.database import create_engine, transaction
from coinwatch.migrations import migrate, setup_database
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from tests.conftest import ROLES
from tests.exchange_server import ExchangeServer
from tests.support.pgbouncer import PROGRAM, pgbouncer
from tests.support.postgres import PostgresServer
from tests.support.settings import EXCHANGES, make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import confirm_one, subscribe

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")
NAME, ADA = "behind_pgbouncer", "ada@example.org"
# What a result must not depend on: the server's defaults differ from what coinwatch needs.
DEFAULTS = ("timezone TO 'Asia/Tokyo'", "datestyle TO 'German, DMY'")


@pytest.fixture(scope="module")
def bouncer(postgres: PostgresServer) -> Iterator[PostgresServer]:
    setup_database(postgres.url("postgres"), *(postgres.url(NAME, role) for role in ROLES.values()))
    with psycopg.connect(postgres.url(NAME), autocommit=True) as connection:
        for setting in DEFAULTS:
            connection.execute(f"ALTER DATABASE {NAME} SET {setting}".encode())
    with pgbouncer(postgres, list(ROLES.values())) as server:
        owner = create_engine(server.url(NAME, ROLES["owner"]))
        migrate(owner)
        owner.dispose()
        yield server


@pytest.fixture
def behind(bouncer: PostgresServer) -> Iterator[sa.Engine]:
    engine = create_engine(bouncer.url(NAME, ROLES["app"]))
    yield engine
    engine.dispose()


def test_cycle_with_its_alert_email_runs_behind_pgbouncer(
    behind: sa.Engine, exchange_server: ExchangeServer, mailbox: Mailbox
) -> None:
    settings = _settings(exchange_server, mailbox)
    pipeline.prepare_cycle(behind, settings, utc_now())
    rule = Rule(threshold=5)
    request = subscribe(behind, email=ADA, coin="BTC", exchange="kraken", rule=rule, now=utc_now(), confirmed=False)
    pipeline.deliver_and_report(behind, settings)
    confirm_one(behind, request.id, utc_now())
    # More often than the number of executions after which the driver would prepare a statement.
    prices = [100_000.0 * 1.1**number for number in range(8)]
    for price in prices:
        exchange_server.market.set_price("kraken", "BTC", "USD", price)
        assert pipeline.collect_prices(behind, settings, utc_now()).failed == {}
        pipeline.evaluate_and_notify(behind, settings, utc_now())
        pipeline.deliver_and_report(behind, settings)
    subjects = [str(message["Subject"]).strip() for message in mailbox.messages]
    assert subjects[0].startswith("Confirm your BTC/USD alert")
    assert subjects[1:] == [f"BTC up 10% to {price:,.2f} USD on Kraken" for price in prices[1:]]
    pipeline.maintain_database(behind, settings, utc_now())
    past = backtest(behind, rule, "BTC", "kraken", start=utc_now() - timedelta(days=1), end=utc_now())
    assert [alert.price for alert in past.alerts] == prices[1:]
    assert len(mailbox.messages) == len(prices)


def test_web_app_reads_and_subscribes_behind_pgbouncer(
    behind: sa.Engine, exchange_server: ExchangeServer, mailbox: Mailbox
) -> None:
    settings = _settings(exchange_server, mailbox)
    pipeline.collect_prices(behind, settings, utc_now())
    app = create_app(
        lambda: behind, lambda: settings, identify=identify_by_token(lambda: settings), inside_airflow=False
    )
    client = TestClient(app, base_url="http://coinwatch.test")
    form = {"email": "eve@example.org", "coin": "ETH", "threshold_percent": "3"}
    for _ in range(7):
        for path in ("/", "/coins/BTC", "/coins/BTC?exchange=kraken", "/subscribe", "/api/v1/prices", "/health"):
            assert client.get(path).status_code == 200, path
        [point] = client.get("/api/v1/prices/BTC?exchange=kraken").json()
        assert abs(datetime.fromisoformat(point["observed_at"]) - utc_now()) < timedelta(minutes=5)
        assert client.post("/subscribe/preview", data=form).status_code == 200
        assert client.post("/subscribe", data=form).status_code == 200
    assert mailbox.messages[0]["To"] == "eve@example.org"


def test_no_transaction_needs_the_session_of_another(behind: sa.Engine) -> None:
    """The settings that coinwatch needs hold in every transaction, whatever session it gets."""
    query = sa.text("SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('jit')")
    for _ in range(3):
        with transaction(behind) as connection:
            assert tuple(connection.execute(query).one()) == ("UTC", "ISO, DMY", "off")


def _settings(exchange_server: ExchangeServer, mailbox: Mailbox) -> Settings:
    exchanges = {code: values | {"base_url": exchange_server.base_url(code)} for code, values in EXCHANGES.items()}
    return make_settings(exchanges=exchanges, smtp_url=mailbox.url)
