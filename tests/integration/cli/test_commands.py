"""Commands as processes: exit codes, tables, JSON and error messages."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from coinwatch.prices.ingest.data_quality import CHECKS
from tests.conftest import Database
from tests.exchange_server import ExchangeServer
from tests.support.command_line import Command
from tests.support.postgres import PostgresServer
from tests.support.smtp_server import Mailbox

CONFIGURATION = """
[coins]
BTC = {{ name = "Bitcoin" }}
[exchanges.kraken]
name = "Kraken"
enabled = true
timeout_seconds = 2
base_url = "{kraken}"
instruments = ["BTC/USD"]
[exchanges.binance]
name = "Binance"
base_url = "{binance}"
timeout_seconds = 2
instruments = ["BTC/USDT"]
"""


@pytest.fixture
def exchange_server(exchange_server: ExchangeServer) -> ExchangeServer:
    exchange_server.market.set_price("kraken", "BTC", "USD", 100.0)
    return exchange_server


@pytest.fixture
def environment(
    environment: dict[str, str], exchange_server: ExchangeServer, mailbox: Mailbox, tmp_path: Path
) -> dict[str, str]:
    configuration = tmp_path / "coinwatch.toml"
    addresses = {code: exchange_server.base_url(code) for code in ("kraken", "binance")}
    configuration.write_text(CONFIGURATION.format(**addresses))
    return environment | {
        "COINWATCH_CONFIG": str(configuration),
        "COINWATCH_SMTP_URL": mailbox.url,
        "COINWATCH_ALERTS_FILE": str(tmp_path / "alerts.txt"),
    }


def test_cycle_runs_without_airflow(
    coinwatch: Command, exchange_server: ExchangeServer, mailbox: Mailbox, tmp_path: Path
) -> None:
    assert coinwatch("migrate").returncode == 0
    probe = coinwatch("exchanges", "probe")
    assert [line.split()[:2] for line in probe.stdout.splitlines()] == [["enabled", "kraken"], ["enabled", "binance"]]
    assert "2 quotes" not in coinwatch("collect").stdout
    made = json.loads(
        coinwatch(
            *("subscribe", "ada@example.org", "bitcoin", "5", "--kind", "change_since_last"),
            *("--exchange", "kraken", "--json"),
        ).stdout
    )
    assert (made["status"], made["threshold_percent"]) == ("active", 5.0)
    exchange_server.market.set_price("kraken", "BTC", "USD", 95.0)
    collected = coinwatch("collect")
    assert "kraken: 1 quotes, 1 new, 0 repeated, 0 conflicting, 0 rejected" in collected.stdout
    assert "1 alerts fired, 1 emails queued" in coinwatch("evaluate-alerts").stdout
    assert "1 sent" in coinwatch("deliver-emails").stdout
    assert [message["Subject"] for message in mailbox.messages] == ["BTC down 5% to 95.00 USD on Kraken"]
    assert "-5.00%" in (tmp_path / "alerts.txt").read_text()
    prices = json.loads(coinwatch("prices", "BTC", "--json").stdout)
    assert {(price["exchange"], price["price"]) for price in prices} >= {("kraken", 95.0), ("index", 95.0)}
    history = coinwatch("history", "BTC", "--exchange", "kraken")
    assert [line.split()[-1] for line in history.stdout.splitlines()[2:]] == ["100.00", "95.00"]
    status = json.loads(coinwatch("status", "--json").stdout)
    assert (status["outbox"]["sent_24h"], status["outbox"]["queued"]) == (1, 0)
    assert status["alerts_24h"] == {"change_since_last": 1}
    assert "ended" in coinwatch("unsubscribe", str(made["id"])).stdout.lower()
    assert "unsubscribed" in coinwatch("subscriptions").stdout


def test_subscriber_is_shown_exported_and_erased(coinwatch: Command) -> None:
    coinwatch("migrate")
    coinwatch("exchanges", "list")
    made = json.loads(coinwatch("subscribe", "ada@example.org", "BTC", "5", "--json").stdout)
    assert "Paused subscription" in coinwatch("pause", str(made["id"])).stdout
    shown = coinwatch("subscriber", "show", "Ada@example.org").stdout
    assert "Time zone: UTC; quiet hours: none; digest: none" in shown
    assert "BTC/USD at index: the price moves by 5% or more within 1 hour" in shown
    assert "paused" in shown
    assert "Resumed subscription" in coinwatch("resume", str(made["id"])).stdout
    exported = json.loads(coinwatch("subscriber", "export", "ada@example.org").stdout)
    assert (exported["email"], exported["subscriptions"][0]["status"]) == ("ada@example.org", "active")
    unconfirmed = coinwatch("subscriber", "erase", "ada@example.org")
    assert (unconfirmed.returncode, "--yes" in unconfirmed.stderr) == (2, True)
    assert "Erased" in coinwatch("subscriber", "erase", "ada@example.org", "--yes").stdout
    gone = coinwatch("subscriber", "show", "ada@example.org")
    assert (gone.returncode, "ada@example.org" in gone.stderr) == (1, True)


def test_collect_exits_with_1_if_an_exchange_fails_but_stores_the_others(
    coinwatch: Command, exchange_server: ExchangeServer
) -> None:
    coinwatch("migrate")
    coinwatch("exchanges", "enable", "binance")
    exchange_server.fail("kraken", "status", status=500)
    done = coinwatch("collect")
    assert done.returncode == 1
    assert "binance: 1 quotes, 1 new" in done.stdout
    assert "Some exchanges failed:\n  kraken:" in done.stderr
    assert "failed 1 times" in coinwatch("status").stdout
    coinwatch("exchanges", "disable", "kraken")
    assert coinwatch("collect").returncode == 0


def test_check_exits_with_1_if_it_finds_something(coinwatch: Command, exchange_server: ExchangeServer) -> None:
    coinwatch("migrate")
    coinwatch("exchanges", "enable", "binance")
    exchange_server.market.set_price("binance", "BTC", "USDT", 100.5)
    coinwatch("collect")
    fine = coinwatch("check")
    assert fine.returncode == 0, fine.stdout
    assert fine.stdout.splitlines() == [f"{name}: nothing found" for name in CHECKS]
    exchange_server.market.set_price("binance", "BTC", "USDT", 110.0)
    coinwatch("collect")
    found = coinwatch("check")
    assert found.returncode == 1
    assert "disagreement: 1 found\n  binance BTC/USDT at 110.00 (observed " in found.stdout
    assert "Traceback" not in found.stderr
    findings = json.loads(coinwatch("check", "--json").stdout)
    assert {name: len(messages) for name, messages in findings.items() if messages} == {"disagreement": 1}


def test_maintenance_runs_without_airflow_and_status_shows_table_sizes(coinwatch: Command) -> None:
    coinwatch("migrate")
    coinwatch("collect")
    assert "days of prices dropped: none" in coinwatch("maintain").stdout
    assert json.loads(coinwatch("maintain", "--json").stdout)["prices"] == {"dropped": [], "kept": {}}
    status = json.loads(coinwatch("status", "--json").stdout)
    [prices] = [table for table in status["disk"] if table["table"] == "prices"]
    assert prices["partitions"] == 8
    assert status["database_bytes"] > prices["bytes"] > 0
    line = next(line for line in coinwatch("status").stdout.splitlines() if line.startswith("prices  "))
    assert f"8, {prices['first_day']} to {prices['last_day']}" in line
    too_short = coinwatch("maintain", COINWATCH_PRICE_RETENTION_DAYS="7")
    assert too_short.returncode == 1
    assert "COINWATCH_PRICE_RETENTION_DAYS is 7; the minimum is 31" in too_short.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("subscribe", "nobody", "BTC", "5"), 2, "valid email address"),
        (("subscribe", "ada@example.org", "BTC", "0"), 2, "The change is 0%; it must be between 0.01%"),
        (("subscribe", "ada@example.org", "XMR", "5"), 1, "Tracked: BTC"),
        (("unsubscribe", "99"), 1, "coinwatch: There is no subscription 99."),
        (("history", "BTC", "--last", "soon"), 2, "--last is 'soon'; it must be a duration such as 300s, 30m"),
        (("history", "BTC", "--from", "yesterday"), 2, "is not a time such as"),
        (("exchanges", "enable", "mtgox"), 1, "coinwatch: Unknown exchange 'mtgox'"),
    ],
)
def test_invalid_arguments_print_one_message(
    coinwatch: Command, arguments: tuple[str, ...], code: int, message: str
) -> None:
    coinwatch("migrate")
    done = coinwatch(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_settings_and_databases_are_reported(coinwatch: Command) -> None:
    assert "COINWATCH_DATABASE_URL is not set" in coinwatch("prices", COINWATCH_DATABASE_URL="").stderr
    away = coinwatch("prices", COINWATCH_DATABASE_URL="postgresql://someone:hush@127.0.0.1:1/coinwatch")
    assert "Postgres at 127.0.0.1:1/coinwatch is not available" in away.stderr
    assert "hush" not in away.stderr
    assert "/nowhere.toml" in coinwatch("status", COINWATCH_CONFIG="/nowhere.toml").stderr


def test_setup_database_can_run_twice(coinwatch: Command, postgres: PostgresServer, template: str) -> None:
    urls = {
        f"COINWATCH_DATABASE{role}_URL": postgres.url("set_up_by_command", user)
        for role, user in {"_OWNER": "coinwatch_owner", "": "coinwatch_app", "_READER": "coinwatch_reader"}.items()
    }
    for _ in range(2):
        done = coinwatch("setup-database", **urls, COINWATCH_DATABASE_ADMIN_URL=postgres.url("postgres"))
        assert done.returncode == 0, done.stderr
    assert "Migrations run: 0001" in coinwatch("migrate", **urls).stdout


@pytest.mark.parametrize("command", ["", "collect", "subscribe", "exchanges", "history", "web", "coinnews"])
def test_every_command_has_help(coinwatch: Command, command: str) -> None:
    done = coinwatch(*command.split(), "--help")
    assert done.returncode == 0
    assert "Usage: coinwatch" in done.stdout


def test_finds_repairs_and_lists_gaps(coinwatch: Command, database: Database, exchange_server: ExchangeServer) -> None:
    coinwatch("migrate")
    coinwatch("exchanges", "enable", "kraken")
    assert "No gaps in the last 7d" in coinwatch("gaps").stdout
    first, last = datetime.now(UTC) - timedelta(hours=3), datetime.now(UTC) - timedelta(hours=1)
    with psycopg.connect(database.url("app")) as connection:
        connection.execute(
            "INSERT INTO candles (instrument_id, resolution, opened_at, open, high, low, close, source)"
            " SELECT i.id, '1m', date_trunc('minute', m), 1, 1, 1, 1, 'quotes' FROM instruments i, unnest(%s) m"
            " WHERE i.symbol = 'XBTUSD'",
            [[first, last]],
        )
    assert "open" in coinwatch("gaps", "find").stdout
    exchange_server.fail("kraken", "status", status=451)
    away = coinwatch("gaps", "repair")
    assert away.returncode == 1
    assert "Some gaps could not be repaired:\n  kraken: not available in this country" in away.stderr
    exchange_server.faults.clear()
    assert "kraken: " in coinwatch("gaps", "repair").stdout
    found = json.loads(coinwatch("gaps", "--coin", "bitcoin", "--status", "repaired", "--json").stdout)
    assert {gap["exchange"] for gap in found} == {"kraken"}
    assert "repaired" in coinwatch("gaps", "--exchange", "kraken").stdout
    wrong = coinwatch("gaps", "find", "--from", "yesterday")
    assert "--from 'yesterday' is not a day such as 2026-01-31" in wrong.stderr
    assert "No matching gaps" in coinwatch("gaps", "retry").stdout
    logged = json.loads(coinwatch("audit", "--action", "gaps.repair", "--json").stdout)
    assert [entry["details"]["state"] for entry in logged] == ["finished", "started"] * 2
    assert logged[0]["details"]["filled"] > 0
    assert "not available in this country" in logged[2]["details"]["failed"]["kraken"]
