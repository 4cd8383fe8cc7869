"""What the operator pages show beyond the pipeline's status: gaps, rules, growth and versions."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy import Engine

from coinwatch import __version__
from coinwatch.database import statement, transaction
from coinwatch.migrations import applied_revision, newest_revision

MAX_ROWS = 200
GROWTH_DAYS = 14


@dataclass(frozen=True, slots=True)
class GapCount:
    """The gaps of one instrument with the same status and reason; ``minutes`` is their total length."""

    exchange: str
    pair: str
    status: str
    reason: str | None
    gaps: int
    minutes: int
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The subscriptions to one coin with one kind of rule, by status."""

    kind: str
    coin: str
    active: int
    paused: int
    pending: int
    ended: int
    subscribers: int


@dataclass(frozen=True, slots=True)
class FetchedHistory:
    """The candles of one resolution that were requested from an exchange, within ``[first_at, last_at)``."""

    exchange: str
    resolution: str
    instruments: int
    first_at: datetime
    last_at: datetime
    candles: int
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """The version of a part of the installation; ``problem`` says what to do if it is not as it should be."""

    name: str
    version: str
    problem: str | None = None


def count_gaps(engine: Engine, since: datetime) -> list[GapCount]:
    """The gaps that end after a time, open ones first, then the longest; at most MAX_ROWS groups."""
    with transaction(engine) as connection:
        parameters = {"since": since, "limit": MAX_ROWS}
        rows = connection.execute(statement("web/operator/count_gaps"), parameters).mappings()
        return [GapCount(**row) for row in rows]


def count_rules(engine: Engine) -> list[RuleCount]:
    """The number of subscriptions by kind and coin, most active first; at most MAX_ROWS groups."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("web/operator/count_rules"), {"limit": MAX_ROWS}).mappings()
        return [RuleCount(**row) for row in rows]


def list_fetched_history(engine: Engine) -> list[FetchedHistory]:
    """The candles that backfills have requested, by exchange and resolution."""
    with transaction(engine) as connection:
        rows = connection.execute(statement("web/operator/select_fetched_history")).mappings()
        return [FetchedHistory(**row) for row in rows]


def bytes_per_day(engine: Engine, now: datetime) -> float | None:
    """The average size of a whole day of prices over the last two weeks; None if there are none yet."""
    with transaction(engine) as connection:
        parameters = {"today": now.date(), "days": GROWTH_DAYS}
        days = connection.execute(statement("web/operator/select_growth"), parameters).all()
    sizes = [row.bytes for row in days]
    return sum(sizes) / len(sizes) if sizes else None


def list_versions(engine: Engine) -> Sequence[Version]:
    """The versions of coinwatch, its schema, Postgres, Python and, if it is installed, Airflow."""
    with transaction(engine) as connection:
        postgres = str(connection.execute(statement("web/operator/select_version")).scalar_one())
        applied = applied_revision(connection)
    expected = newest_revision()
    problem = None
    if applied != expected:
        problem = f"This version needs migration {expected}. Run: coinwatch migrate"
    return (
        Version("coinwatch", __version__),
        Version("Schema (last migration)", applied or "none", problem),
        Version("Postgres", postgres.partition(" ")[0]),
        Version("Python", platform.python_version()),
        Version("Airflow", _installed("apache-airflow") or "not installed here"),
    )


def last_days(now: datetime, days: int) -> datetime:
    """The start of a period of days that ends now."""
    return now - timedelta(days=days)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
