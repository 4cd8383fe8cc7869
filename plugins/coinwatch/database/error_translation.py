"""Database errors in words that an operator can act on."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from coinwatch.database.engine import POOL_TIMEOUT_SECONDS
from coinwatch.errors import DatabaseError, QueryTimeout

QUERY_CANCELED = "57014"
READ_ONLY_TRANSACTION = "25006"
LOCK_NOT_AVAILABLE = "55P03"
INSUFFICIENT_PRIVILEGE = "42501"
UNDEFINED_OBJECT = ("42P01", "42703", "42883")  # table, column, function


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


def _address(engine: Engine) -> str:
    return f"{engine.url.host}:{engine.url.port or 5432}/{engine.url.database}"


def _sqlstate(error: DBAPIError | psycopg.Error) -> str | None:
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def _first_line(error: DBAPIError | psycopg.Error) -> str:
    """The first line of the driver's message. SQLAlchemy wraps the error, unless the driver was called directly."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    return (str(reason).strip().splitlines() or ["no reason given"])[0]
