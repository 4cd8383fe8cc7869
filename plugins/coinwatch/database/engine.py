"""The engine of a process, and the sessions of its connections: their settings and the limits of their statements."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from coinwatch.errors import ConfigurationError
from coinwatch.settings import get_settings

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

# Without a pooler, most of these settings are set once per session.
DIRECT = "direct"  # in a pooled connection's ``info`` if its session is ours alone
SESSION = b"SET timezone = 'UTC'; SET datestyle = 'ISO'; SET jit = off"
BEGIN_DIRECT = b"BEGIN; SET LOCAL plan_cache_mode = force_custom_plan"

LIMIT = "limit"  # in ``info``: the limit of a direct session's statements
SECONDS_OPTION = "coinwatch_statement_seconds"


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


@lru_cache
def get_engine() -> Engine:
    """Return this process's engine for the application role (COINWATCH_DATABASE_URL)."""
    return create_engine(get_settings().require("database_url"))


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
            try:
                self.wait(self._run(commands))
            except KeyboardInterrupt:
                self.close()  # results may be pending, so it can't be used any more
                raise

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
    with drop_if_lost(connection):
        limit_session(connection)
        driver = _driver(connection)
        if driver.autocommit:
            return
        seconds = _seconds(connection)
        if connection.info.get(DIRECT):
            driver.run(BEGIN_DIRECT)
        else:
            driver.run(BEGIN if seconds is None else BEGIN + b"; " + _limits("SET LOCAL", seconds))


@contextmanager
def drop_if_lost(connection: Connection) -> Iterator[None]:
    """Drop a connection that is closed when the driver raises an error: SQLAlchemy doesn't see it and would reuse it.

    The others in the pool are dropped, too: if Postgres was restarted, they are also lost, but not all are tested.
    """
    try:
        yield
    except (psycopg.Error, KeyboardInterrupt):
        if not connection.invalidated and _driver(connection).closed:
            connection.invalidate()
            connection.engine.dispose()
        raise


def limit_session(connection: Connection) -> None:
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
