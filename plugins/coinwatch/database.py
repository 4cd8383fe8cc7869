"""Access to Postgres: one engine per process, statements from ``sql/``, transactions that raise coinwatch's errors."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Engine, TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    InternalError,
    InvalidatePoolError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from coinwatch.errors import ConfigurationError, DatabaseError, QueryTimeout
from coinwatch.setting_sources import PROJECT_ROOT
from coinwatch.settings import get_settings

SQL_ROOT = PROJECT_ROOT / "sql"
CONNECT_TIMEOUT_SECONDS = 10
# Further connections are closed after use: opening one takes Postgres ten times as long as reading a price.
POOL_SIZE, MAX_CONNECTIONS = 10, 15
# A connection that was used more recently is not tested, which would be another round trip.
TESTED_AFTER_SECONDS = 1.0
USED_AT = "used_at"  # in a pooled connection's ``info``
POOL_TIMEOUT_SECONDS = 10  # for a connection to become free
# Postgres' own limits don't help if the server is frozen, or the network drops packets. Then the client closes the
# connection: after this long without a response when it tests one, and this long after a limit when it has one.
RESPONSE_SECONDS = 5
LOCK_SECONDS = 5  # of a statement's limit, for locks
# The driver requires these formats, whatever the server's defaults are. A generic plan can't prune partitions before it
# is executed, so every execution is planned with its parameters. JIT compilation would take longer than the statements
# themselves. Settings belong to the transaction, because behind PgBouncer the next one may get another session; sent
# together with BEGIN, they cost no round trip.
BEGIN = (
    b"BEGIN; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL plan_cache_mode = force_custom_plan; "
    b"SET LOCAL jit = off"
)

# Where there is no pooler, most of them belong to the session.
DIRECT = "direct"  # in a pooled connection's ``info`` if its session is ours alone
SESSION = b"SET timezone = 'UTC'; SET datestyle = 'ISO'; SET jit = off"
BEGIN_DIRECT = b"BEGIN; SET LOCAL plan_cache_mode = force_custom_plan"

LIMIT = "limit"  # in ``info``: the limit of a direct session's statements
SECONDS_OPTION = "coinwatch_statement_seconds"

QUERY_CANCELED = "57014"
READ_ONLY_TRANSACTION = "25006"
LOCK_NOT_AVAILABLE = "55P03"
INSUFFICIENT_PRIVILEGE = "42501"
UNDEFINED_OBJECT = ("42P01", "42703", "42883")  # table, column, function

Row = TypeVar("Row")


class Lock(Enum):
    """The tables that are locked for work that only one session may do at a time; their comments say why.

    Advisory locks would not do: anyone who can connect may take them.
    """

    CATALOG = "lock_catalog"
    EVALUATION = "lock_evaluation"
    CANDLES = "lock_candles"
    GAPS = "lock_gaps"
    EMAILS_PER_DAY = "lock_emails_per_day"


def create_engine(url: str) -> Engine:
    """Create an engine for a ``postgresql://`` URL: transactions in UTC, idle connections tested before use.

    It needs nothing of a session beyond a transaction, so it also works behind PgBouncer in transaction mode. Raises
    ConfigurationError for any other URL.
    """
    engine = sa.create_engine(
        parse_database_url(url).set(drivername="postgresql+psycopg"),
        pool_size=POOL_SIZE,
        max_overflow=MAX_CONNECTIONS - POOL_SIZE,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        use_native_hstore=False,  # saves a query per new connection
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": "coinwatch",
            "keepalives_idle": 30,
        },
    )
    sa.event.listen(engine, "do_connect", _connect)
    sa.event.listen(engine, "connect", _prepare_session)
    sa.event.listen(engine, "begin", _begin)
    sa.event.listen(engine, "checkout", _test_if_idle)
    sa.event.listen(engine, "checkin", _end_limit)
    return engine


@lru_cache(maxsize=8)
def limit_statements(engine: Engine, seconds: float | None) -> Engine:
    """The same engine, with the same connections, but each statement fails after ``seconds`` (None: no limit).

    Waiting for a lock fails earlier, after up to LOCK_SECONDS. If the server does not respond at all, the statement
    fails RESPONSE_SECONDS after its limit.
    """
    return engine.execution_options(**{SECONDS_OPTION: seconds})


def parse_database_url(url: str) -> sa.URL:
    """Parse a ``postgresql://`` URL. Raises ConfigurationError, which contains no part of it: it may be a password."""
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # a port that is not a number is a ValueError
        parsed = None
    if parsed is None or "@" in (parsed.host or ""):
        raise ConfigurationError(
            "A database URL is not of the form postgresql://user:password@host:port/database. In user and password, "
            "write %40 for @, %2F for /, %3A for : and %25 for %. Check COINWATCH_DATABASE_URL, and for setup-database "
            "and migrate also COINWATCH_DATABASE_OWNER_URL, …_READER_URL and …_ADMIN_URL."
        )
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigurationError("A database URL does not start with postgresql://, the only supported database.")
    return parsed


@lru_cache
def get_engine() -> Engine:
    """Return this process's engine for the application role (COINWATCH_DATABASE_URL)."""
    return create_engine(get_settings().require("database_url"))


@lru_cache(maxsize=256)
def statement(name: str) -> TextClause:
    """Return the statement in ``sql/<name>.sql``, for example ``statement("prices/history/select_latest_prices")``."""
    return sa.text((SQL_ROOT / f"{name}.sql").read_text(encoding="utf-8"))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run a transaction: committed at the end, rolled back on any error.

    Raises DatabaseError if Postgres is unavailable, the connection is lost, or migrations are missing.
    """
    with translate_errors(engine), engine.begin() as connection, _invalidate_if_lost(connection):
        yield connection


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """Open a connection that commits each statement. Raises the same errors as ``transaction``."""
    with (
        translate_errors(engine),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        _invalidate_if_lost(connection),
    ):
        _limit(connection)
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for statements that only read. Raises the same errors as ``transaction``.

    There are no round trips for BEGIN and COMMIT, and Postgres may keep a generic plan: planning the statement for the
    latest prices takes five times as long as executing it for one coin. Behind a pooler it is a transaction.
    """
    with translate_errors(engine), engine.connect() as connection, _invalidate_if_lost(connection):
        if connection.info.get(DIRECT):
            connection.execution_options(isolation_level="AUTOCOMMIT")
            _limit(connection)
            yield connection
        else:
            with connection.begin():
                yield connection


class _Connection(psycopg.Connection[Any]):
    """Closes itself if the server has not responded within ``response_seconds`` (None: waits forever)."""

    response_seconds: float | None = RESPONSE_SECONDS

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server. Raises psycopg.OperationalError."""
        try:
            return super().wait(gen, interval, self.response_seconds if timeout is None else timeout)
        except psycopg.errors._WaitTimeout:
            if timeout is not None:
                raise
            self.close()
            raise psycopg.OperationalError(f"no response within {self.response_seconds:g} s") from None

    def run(self, commands: bytes) -> None:
        """Execute commands that return nothing and are not part of a transaction that the driver begins."""
        with self.lock:
            self.wait(self._run(commands))

    def _run(self, commands: bytes) -> PQGen[None]:
        self.pgconn.send_query(commands)
        for result in (yield from execute(self.pgconn)):
            if result.status != ExecStatus.COMMAND_OK:
                raise error_from_result(result)


def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> _Connection:
    return _Connection.connect(*arguments, **options)


def _end_limit(driver: Any, record: ConnectionPoolEntry) -> None:
    """Limit the test of an idle connection, which precedes its next use."""
    if driver is not None:  # None if it was invalidated
        driver.response_seconds = RESPONSE_SECONDS
        record.info[USED_AT] = time.monotonic()


def _test_if_idle(driver: psycopg.Connection[Any], record: ConnectionPoolEntry, _: object) -> None:
    """Test a connection that was idle. If it is lost, the pool replaces it and all others."""
    if time.monotonic() - record.info.get(USED_AT, 0.0) < TESTED_AFTER_SECONDS:
        return
    try:
        driver.autocommit = True
        driver.execute(b"SELECT 1")
        driver.autocommit = False
    except psycopg.Error as error:
        raise InvalidatePoolError from error


def _prepare_session(driver: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
    """Set up a session; behind PgBouncer, where later transactions may get another one, only avoid relying on it.

    Prepared statements belong to a session, too. A pooler can't tell its clients the process id of the session that
    they will get.
    """
    driver.autocommit = True
    [process_id] = driver.execute(b"SELECT pg_backend_pid()").fetchone() or [None]
    if process_id == driver.info.backend_pid:
        driver.pgconn.exec_(SESSION)
        record.info[DIRECT] = True
    else:
        driver.prepare_threshold = None
    driver.autocommit = False


def _begin(connection: Connection) -> None:
    """Begin the driver's transaction with our settings; the driver then sends no BEGIN of its own."""
    _limit(connection)
    driver = _driver(connection)
    if driver.autocommit:
        return
    seconds = _seconds(connection)
    if connection.info.get(DIRECT):
        driver.run(BEGIN_DIRECT)
    else:
        driver.run(BEGIN if seconds is None else BEGIN + b"; " + _limits("SET LOCAL", seconds))


def _limit(connection: Connection) -> None:
    """Limit the statements of a connection that is not in a transaction. Only a direct session keeps the limit."""
    seconds, driver = _seconds(connection), _driver(connection)
    driver.response_seconds = None if seconds is None else seconds + RESPONSE_SECONDS
    if connection.info.get(DIRECT) and connection.info.get(LIMIT) != seconds:
        driver.run(_limits("SET", seconds))
        connection.info[LIMIT] = seconds


def _driver(connection: Connection) -> _Connection:
    return cast("_Connection", connection.connection.driver_connection)


def _seconds(connection: Connection) -> float | None:
    return cast("float | None", connection.get_execution_options().get(SECONDS_OPTION))


def _limits(command: str, seconds: float | None) -> bytes:
    if seconds is None:
        return f"{command} statement_timeout = DEFAULT; {command} lock_timeout = DEFAULT".encode()
    statements, locks = round(1000 * seconds), round(1000 * min(seconds, LOCK_SECONDS))
    return f"{command} statement_timeout = {statements}; {command} lock_timeout = {locks}".encode()


@contextmanager
def unprepared(connection: Connection) -> Iterator[None]:
    """Neither use nor create prepared statements."""
    driver = driver_connection(connection)
    threshold, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = threshold


def acquire_lock(connection: Connection, lock: Lock) -> None:
    """Wait for a lock and hold it until the transaction ends."""
    connection.execute(sa.text(f"LOCK TABLE {lock.value} IN EXCLUSIVE MODE"))


def end_long_reader_sessions(engine: Engine) -> int:
    """End sessions of the reader role that have exceeded its limits; return their number."""
    with transaction(engine) as connection:
        return int(connection.execute(sa.text("SELECT end_long_reader_sessions()")).scalar_one())


def driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    """Return the underlying psycopg connection, for COPY."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"expected a psycopg connection, got {type(driver)}")
    return driver


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


@contextmanager
def translate_errors(engine: Engine) -> Iterator[None]:
    """Raise DatabaseError for database errors on a connection that ``transaction`` didn't open.

    Errors in a statement itself, such as a violated constraint, are not translated.
    """
    try:
        yield
    except (OperationalError, psycopg.OperationalError) as error:
        if _sqlstate(error) == QUERY_CANCELED:
            raise QueryTimeout(f"Postgres canceled a query: {_first_line(error)}.") from error
        if _sqlstate(error) == LOCK_NOT_AVAILABLE:
            raise DatabaseError(
                f"Another session of the database holds a lock for too long ({_first_line(error)}). Nothing was "
                "changed. Wait until a backup or long query has ended (see pg_stat_activity), then try again."
            ) from error
        raise DatabaseError(f"Postgres at {_address(engine)} is not available: {_first_line(error)}") from error
    except PoolTimeout as error:
        raise DatabaseError(
            f"All connections to Postgres at {_address(engine)} have been in use for {POOL_TIMEOUT_SECONDS} s"
        ) from error
    except (ProgrammingError, psycopg.ProgrammingError) as error:
        if _sqlstate(error) in UNDEFINED_OBJECT:
            raise DatabaseError(
                f"The database is missing migrations ({_first_line(error)}). Run: coinwatch migrate"
            ) from error
        if _sqlstate(error) == INSUFFICIENT_PRIVILEGE:
            raise DatabaseError(
                f"The role {engine.url.username} may not do this ({_first_line(error)}). Run: coinwatch setup-database "
                "&& coinwatch migrate"
            ) from error
        raise
    except (DataError, psycopg.DataError) as error:
        raise DatabaseError(f"Postgres rejected a value: {_first_line(error)}") from error
    except (InternalError, psycopg.InternalError) as error:
        if _sqlstate(error) == READ_ONLY_TRANSACTION:
            raise DatabaseError(
                f"Postgres at {_address(engine)} is read-only ({_first_line(error)}). It is a standby, or "
                "default_transaction_read_only is set."
            ) from error
        raise


@contextmanager
def _invalidate_if_lost(connection: Connection) -> Iterator[None]:
    """Invalidate a lost connection: SQLAlchemy doesn't see errors of the driver's cursors and would reuse it."""
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
    """The first line of the driver's message. SQLAlchemy wraps the error, unless the driver was called directly."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    return (str(reason).strip().splitlines() or ["no reason given"])[0]
