"""Statements from ``sql/``, and reading rows faster than SQLAlchemy does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import Connection, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from coinwatch.setting_sources import PROJECT_ROOT

SQL_ROOT = PROJECT_ROOT / "sql"

Row = TypeVar("Row")


@lru_cache(maxsize=256)
def statement(name: str) -> TextClause:
    """Return the statement in ``sql/<name>.sql``, for example ``statement("prices/history/select_latest_prices")``."""
    return sa.text((SQL_ROOT / f"{name}.sql").read_text(encoding="utf-8"))


def fetch_rows(connection: Connection, name: str, parameters: Mapping[str, object], row: type[Row]) -> list[Row]:
    """Execute ``sql/<name>.sql`` and return each row as ``row(*columns)``.

    Faster than SQLAlchemy's rows for thousands of rows: uses the binary protocol and the driver's cursor. A NamedTuple
    is the fastest row type.
    """

    def make_row(_: object) -> Callable[[Sequence[Any]], Row]:
        if issubclass(row, tuple):
            return cast("Callable[[Sequence[Any]], Row]", partial(tuple.__new__, row))
        return lambda columns: row(*columns)

    with driver_connection(connection).cursor(binary=True, row_factory=make_row) as cursor:
        return cursor.execute(_driver_statement(name), parameters).fetchall()


@lru_cache(maxsize=256)
def _driver_statement(name: str) -> bytes:
    """The statement with psycopg's parameter style."""
    return str(statement(name).compile(dialect=PGDialect_psycopg())).encode()  # type: ignore[no-untyped-call]


def driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    """Return the underlying psycopg connection, for COPY."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"expected a psycopg connection, got {type(driver)}")
    return driver


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """Neither use nor create prepared statements."""
    driver = driver_connection(connection)
    threshold, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = threshold
