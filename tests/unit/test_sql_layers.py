"""SQL respects the layers of the packages.

The statements in sql/<package> write only tables of their package, and read only those and the tables of packages
below.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import coinwatch
from coinwatch.database import SQL_ROOT

# From top to bottom, as in pyproject.toml; packages in one row are independent of each other.
LAYERS = (("web",), ("status",), ("notifications",), ("alerts",), ("gauges",), ("prices", "access"), ("audit",))
# Tables and views by the package they belong to.
OWNERS = {
    "prices": {
        "exchanges",
        "exchange_status",
        "exchange_health",
        "coins",
        "instruments",
        "catalog_state",
        "watched_instruments",
        "prices",
        "price_partitions",
        "price_history",
        "latest_quotes",
        "trading_halts",
        "latest_prices",
        "index_state",
        "index_divisors",
        "unconfirmed_quotes",
        "corporate_actions",
        "candles",
        "stale_candles",
        "candle_fetches",
        "candle_history",
        "daily_ohlcv",
        "gaps",
        "gap_history",
        "gap_checks",
        "cycles",
        "history_backfills",
        "price_retention",
    },
    "database": {
        "lock_catalog",
        "lock_evaluation",
        "lock_candles",
        "lock_gaps",
        "lock_emails_per_day",
        "lock_partitions",
    },
    "alerts": {
        "users",
        "sessions",
        "account_visits",
        "subscriptions",
        "evaluation_watermarks",
        "period_extremes",
        "alerts",
        "alert_activity",
    },
    "access": {"api_keys", "operator_sessions", "rate_limits"},
    "audit": {"audit_log"},
    "notifications": {"outbox", "outbox_activity", "held_users", "webhooks"},
}
PACKAGE = Path(coinwatch.__file__).parent
FILES = sorted(path for path in SQL_ROOT.rglob("*.sql") if "migrations" not in path.parts)
WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SQL_ROOT)))
def test_statement_stays_within_its_layer(path: Path) -> None:
    package = path.relative_to(SQL_ROOT).parts[0]
    own = OWNERS.get(package, set()) | _temporary_tables(package)
    readable = own.union(*(OWNERS.get(below, set()) for below in _below(package)))
    for tree in _parse(path):
        assert set(_written(tree)) - own == set(), "writes"
        assert set(_tables(tree)) - readable == set(), "reads"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SQL_ROOT)))
def test_common_table_expressions_do_not_shadow_tables(path: Path) -> None:
    owned = set().union(*OWNERS.values())
    for tree in _parse(path):
        assert {cte.alias for cte in tree.find_all(exp.CTE)} & owned == set()


def test_every_table_and_view_has_one_owner() -> None:
    migrations = "".join(path.read_text() for path in sorted((SQL_ROOT / "migrations/versions").glob("*.sql")))
    created = re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)(?! PARTITION OF)\b", migrations, re.MULTILINE)
    partitions = set(re.findall(r"^CREATE TABLE (\w+) PARTITION OF", migrations, re.MULTILINE))
    assert sorted(set(created) - partitions) == sorted(table for tables in OWNERS.values() for table in tables)


def test_every_folder_has_a_layer() -> None:
    assert {path.relative_to(SQL_ROOT).parts[0] for path in FILES} <= {package for layer in LAYERS for package in layer}


def test_every_statement_is_used() -> None:
    """By its name, or by an f-string such as f"alerts/backtest/create_{table}"."""
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    literals = set(re.findall(r'"([a-z0-9_/]+)"', code))
    prefixes = tuple(re.findall(r'f"([a-z0-9_]+/[a-z0-9_/]*)\{', code))
    names = [str(path.relative_to(SQL_ROOT).with_suffix("")) for path in FILES]
    assert [name for name in names if name not in literals and not name.startswith(prefixes)] == []


def _below(package: str) -> list[str]:
    level = next(level for level, layer in enumerate(LAYERS) if package in layer)
    return [other for layer in LAYERS[level + 1 :] for other in layer]


@cache
def _parse(path: Path) -> tuple[exp.Expression, ...]:
    return tuple(tree for tree in sqlglot.parse(path.read_text(encoding="utf-8"), dialect="postgres") if tree)


@cache
def _temporary_tables(package: str) -> set[str]:
    """The tables and views that the package creates for its own sessions."""
    trees = [tree for path in FILES if path.relative_to(SQL_ROOT).parts[0] == package for tree in _parse(path)]
    return {create.this.find(exp.Table).name for tree in trees for create in tree.find_all(exp.Create)}


def _written(tree: exp.Expression) -> Iterator[str]:
    for write in tree.find_all(*WRITES):
        if write.find_ancestor(exp.When) is None:  # an action of MERGE names no table
            yield write.find(exp.Table).name


def _tables(tree: exp.Expression) -> Iterator[str]:
    """The tables and views that a statement names, except the system's own."""
    expressions = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        system = table.name.startswith("pg_")
        function_or_lock = isinstance(table.this, exp.Func) or isinstance(table.parent, exp.Lock)  # FOR UPDATE OF alias
        if not system and not function_or_lock and table.name not in expressions:
            yield table.name
