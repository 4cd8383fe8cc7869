"""The way to Postgres: one engine per process, statements from sql/, transactions with named errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from sqlalchemy import Connection, Engine, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError

from coinwatch.errors import ConfigurationError, DatabaseError, QueryTimeout
from coinwatch.settings import PROJECT_ROOT, get_settings

SQL_ROOT = PROJECT_ROOT / "sql"
CONNECT_TIMEOUT_SECONDS = 10
# Times are read and written as the driver knows them, whatever the server is set to.
# A plan for all values of its parameters can leave out no partition: every execution gets a plan of its own. Compiling
# a plan takes longer than any of our statements.
SESSION = "-c timezone=UTC -c datestyle=ISO -c plan_cache_mode=force_custom_plan -c jit=off"
# A table, a column, a function that a newer version brings.
LACKING = ("42P01", "42703", "42883")

Row = TypeVar("Row")


class Lock(IntEnum):
    """Work that only one session at a time may do; the numbers of Postgres' advisory locks, which share one space."""

    MIGRATING = 4_701_226  # a second `coinwatch migrate` waits and then finds nothing to do
    CATALOG = 4_701_227  # workers starting together do not insert the same rows
    EVALUATION = 4_701_228  # order of time is what the rules are about
    CANDLES = 4_701_229  # nobody replaces a candle by one made of an older look at the prices
    GAPS = 4_701_230  # two do not write what each saw before the other
    EMAILS_PER_DAY = 4_701_231  # two senders do not both take what is left of the daily limit


def create_engine(url: str) -> Engine:
    """An engine for a ``postgresql://`` URL: UTC sessions, dead connections noticed before use."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ConfigurationError(
            "A database URL does not read like postgresql://user:password@host:port/database. "
            "Check COINWATCH_DATABASE_URL."
        ) from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError(f"coinwatch keeps its data in Postgres, not in {parsed.get_backend_name()}.")
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=5,
        use_native_hstore=False,  # we have no such columns; asking for the type costs every new connection a query
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "coinwatch",
            "options": SESSION,
            "keepalives_idle": 30,
        },
    )


@lru_cache
def get_engine() -> Engine:
    """The process's engine for the application role (COINWATCH_DATABASE_URL)."""
    return create_engine(get_settings().require("database_url"))


@lru_cache(maxsize=256)
def statement(name: str) -> TextClause:
    """The statement of sql/<name>.sql, for example ``statement("prices/history/latest")``."""
    return sa.text((SQL_ROOT / f"{name}.sql").read_text(encoding="utf-8"))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back on any error.

    Raises DatabaseError where Postgres cannot be reached, goes away, or lacks our tables.
    """
    with named_errors(engine), engine.begin() as connection, _given_up_when_lost(connection):
        yield connection


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """A connection on which every statement is a transaction of its own. Raises as ``transaction`` does."""
    with (
        named_errors(engine),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        _given_up_when_lost(connection),
    ):
        yield connection


def hold(connection: Connection, lock: Lock) -> None:
    """Wait for a lock and hold it until the transaction ends."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": int(lock)})


def driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection below, for COPY."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"expected a psycopg connection, not {type(driver)}")
    return driver


def fetch(connection: Connection, name: str, parameters: Mapping[str, object], row: type[Row]) -> list[Row]:
    """All rows of the statement sql/<name>.sql, each made as ``row(*columns)`` in the statement's order of columns.

    For thousands of rows: they come in binary and past SQLAlchemy's own rows; a NamedTuple is made fastest.
    """

    def make(_: object) -> Callable[[Sequence[Any]], Row]:
        if issubclass(row, tuple):
            return cast("Callable[[Sequence[Any]], Row]", partial(tuple.__new__, row))
        return lambda columns: row(*columns)

    with driver_connection(connection).cursor(binary=True, row_factory=make) as cursor:
        return cursor.execute(_driver_statement(name), parameters).fetchall()


@lru_cache(maxsize=256)
def _driver_statement(name: str) -> bytes:
    """The statement with its parameters as psycopg writes them."""
    return str(statement(name).compile(dialect=PGDialect_psycopg())).encode()  # type: ignore[no-untyped-call]


@contextmanager
def named_errors(engine: Engine) -> Iterator[None]:
    """For connections that ``transaction`` does not open: its errors."""
    try:
        yield
    except (OperationalError, psycopg.OperationalError) as error:
        if _sqlstate(error) == "57014":  # query_canceled
            raise QueryTimeout(f"Postgres broke a statement off: {_first_line(error)}.") from error
        raise DatabaseError(f"Postgres at {_address(engine)} is not available: {_first_line(error)}") from error
    except (ProgrammingError, psycopg.ProgrammingError) as error:
        if _sqlstate(error) in LACKING:
            raise DatabaseError(
                f"The database lacks tables of this version ({_first_line(error)}). Run: coinwatch migrate"
            ) from error
        raise
    except (InternalError, psycopg.InternalError) as error:
        if _sqlstate(error) == "25006":  # read_only_sql_transaction
            raise DatabaseError(
                f"Postgres at {_address(engine)} takes no changes ({_first_line(error)}). It is a standby, or somebody "
                "set default_transaction_read_only."
            ) from error
        raise


@contextmanager
def _given_up_when_lost(connection: Connection) -> Iterator[None]:
    """SQLAlchemy sees no error of the driver's own cursors: it would reset the lost connection, with a traceback."""
    try:
        yield
    except psycopg.Error:
        if not connection.invalidated and driver_connection(connection).closed:
            connection.invalidate()
        raise


def _address(engine: Engine) -> str:
    return f"{engine.url.host}:{engine.url.port or 5432}/{engine.url.database}"


def _sqlstate(error: DBAPIError | psycopg.Error) -> str | None:
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def _first_line(error: DBAPIError | psycopg.Error) -> str:
    """SQLAlchemy wraps the driver's error, except where we use the driver itself for COPY."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    return (str(reason).strip().splitlines() or ["no reason given"])[0]
