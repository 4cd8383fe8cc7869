"""Every file in sql/ is one statement that Postgres can plan, and is used."""

import re

import pytest
import sqlalchemy as sa

from coinwatch.database import SQL_ROOT, statement

NAMES = sorted(
    str(path.relative_to(SQL_ROOT).with_suffix(""))
    for path in SQL_ROOT.rglob("*.sql")
    if "migrations" not in path.relative_to(SQL_ROOT).parts
)
TEMPORARY_TABLES = [name for name in NAMES if "CREATE TEMPORARY " in (SQL_ROOT / f"{name}.sql").read_text()]
# Views of the same name, of which a backtest creates one.
VIEWS_OF_BACKTEST = ("alerts/backtest/create_prices", "alerts/backtest/create_index_prices")


@pytest.mark.parametrize("name", NAMES)
def test_postgres_can_plan_the_statement(name: str, engine: sa.Engine) -> None:
    text = (SQL_ROOT / f"{name}.sql").read_text()
    assert text.startswith("-- "), "the first line is a comment that describes the statement"
    with engine.begin() as connection:
        for table in TEMPORARY_TABLES:
            if table.startswith("alerts/backtest/") and not name.startswith("alerts/backtest/"):
                continue  # the tables of the backtest shadow real ones
            if table in VIEWS_OF_BACKTEST and table != (name if name in VIEWS_OF_BACKTEST else VIEWS_OF_BACKTEST[0]):
                continue
            connection.execute(statement(table))
        if name in TEMPORARY_TABLES:
            return
        compiled = statement(name).compile(engine)
        driver = connection.connection.driver_connection
        assert driver is not None
        command = str(compiled) % {parameter: f"${number}" for number, parameter in enumerate(compiled.params, 1)}
        driver.execute(command if "CREATE " in command else f"PREPARE checked AS {command}")


def test_statements_do_not_name_partitions() -> None:
    """Partitioning can be left to an extension (docs/adr/0007)."""
    named = [
        name for name in NAMES if re.search(r"\b(candles_1[mhd]|prices_\d)", (SQL_ROOT / f"{name}.sql").read_text())
    ]
    assert not named


def test_every_statement_is_used() -> None:
    sources = "\n".join(path.read_text() for path in (SQL_ROOT.parent / "plugins").rglob("*.py"))
    unused = [name for name in NAMES if f'"{name}"' not in sources and not _built_from_parts(name)]
    assert not unused


def _built_from_parts(name: str) -> bool:
    return name.startswith(("alerts/evaluation/create_", "alerts/backtest/create_"))
