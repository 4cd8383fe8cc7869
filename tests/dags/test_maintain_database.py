"""maintain_database and check_data run for real, on a real Postgres, through Airflow's own task runner."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from coinwatch.database import statement, transaction
from coinwatch.prices.catalog import sync_catalog
from coinwatch.prices.ingest.partitions import ensure_partitions
from coinwatch.settings import load_settings
from tests.conftest import Database
from tests.support.quotes import load, quote

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
[coins]
BTC = { name = "Bitcoin" }
[exchanges.kraken]
name = "Kraken"
enabled = true
instruments = ["BTC/USD"]
[exchanges.coinbase]
name = "Coinbase"
enabled = true
instruments = ["BTC/USD"]
"""
OLD = datetime.now(UTC).date() - timedelta(days=95)

TASKS = (
    "make_partitions",
    "refresh_candles",
    "drop_old_prices",
    "merge_fetches",
    "delete_old_emails",
    "erase_unconfirmed",
)

Run = Callable[[str], Any]


@pytest.fixture
def run_dag(
    airflow_database: None, database: Database, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Run a DAG by its name once; gives its run. The database knows two exchanges."""
    from coinwatch.database import get_engine
    from coinwatch.settings import get_settings

    configuration = tmp_path / "coinwatch.toml"
    configuration.write_text(CONFIGURATION)
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

    def run(name: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(str(ROOT / "dags")).dags[name].test(logical_date=datetime.now(UTC))

    yield run
    get_engine().dispose()
    get_settings.cache_clear()
    get_engine.cache_clear()


def states(run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in run.get_task_instances()}


def days(engine: sa.Engine) -> list[date]:
    with transaction(engine) as connection:
        return list(
            connection.execute(statement("prices/retention/days_before"), {"limit": date(9999, 1, 1)}).scalars()
        )


def load_at(engine: sa.Engine, exchange: str, price: float, moment: datetime) -> None:
    observed = quote(price, 0, exchange)
    load(engine, type(observed)(observed.instrument, price, moment, moment))


@pytest.mark.timeout(240)
def test_the_nightly_upkeep_drops_what_is_old_and_makes_what_is_coming(run_dag: Run, engine: sa.Engine) -> None:
    load_at(engine, "kraken", 100, datetime(OLD.year, OLD.month, OLD.day, 12, tzinfo=UTC))
    began = datetime.now(UTC).date()
    run = run_dag("maintain_database")
    assert states(run) == dict.fromkeys(TASKS, "success")
    assert days(engine) in [
        [today + timedelta(days=ahead) for ahead in range(8)] for today in (began, datetime.now(UTC).date())
    ], "it may be midnight"
    with transaction(engine) as connection:
        rows = connection.execute(
            sa.text("SELECT CAST(resolution AS text), close FROM candles ORDER BY candles.resolution")
        )
        assert [tuple(row) for row in rows] == [("1m", 100), ("1h", 100), ("1d", 100)]


@pytest.mark.timeout(240)
def test_a_day_that_has_to_be_kept_makes_the_task_red_with_the_reason(
    run_dag: Run, engine: sa.Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    ensure_partitions(engine, [OLD])
    load_at(engine, "kraken", 100, datetime(OLD.year, OLD.month, OLD.day, 12, tzinfo=UTC))
    with transaction(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO evaluation_watermarks (instrument_id, metric, evaluated_to) SELECT instrument_id, 'price', :at FROM latest_quotes"
            ),
            {"at": datetime(OLD.year, OLD.month, OLD.day, 11, tzinfo=UTC)},
        )
    run = run_dag("maintain_database")
    assert states(run) == dict.fromkeys(TASKS, "success") | {"drop_old_prices": "failed"}
    assert OLD in days(engine)
    assert f"Prices of {OLD} were kept: alerts have not been matched that far yet." in capfd.readouterr().out


@pytest.mark.timeout(240)
def test_findings_make_their_check_red_with_the_sentence_and_no_other(
    run_dag: Run, engine: sa.Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    now = datetime.now(UTC)
    load_at(engine, "kraken", 100, now - timedelta(seconds=30))
    load_at(engine, "coinbase", 101, now - timedelta(seconds=30))
    assert set(states(run_dag("check_data")).values()) == {"success"}
    load_at(engine, "coinbase", 120, now)
    run = run_dag("check_data")
    assert str(run.state) == "failed"
    assert states(run) == {"stale": "success", "disagreement": "failed", "frozen": "success", "volume": "success"}
    said = [line for line in capfd.readouterr().out.splitlines() if "AirflowFailException" in line]
    assert any("kraken BTC/USD at 100.00 (observed" in line and "are 18.18% apart" in line for line in said)
