"""Transactions and locks. Errors of the database become coinwatch's."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from coinwatch.database.engine import DIRECT, drop_if_lost, limit_session
from coinwatch.database.error_translation import translate_errors


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run a transaction: committed at the end, rolled back on any error.

    Raises DatabaseError if Postgres is unavailable, the connection is lost, or migrations are missing.
    """
    with translate_errors(engine), engine.begin() as connection, drop_if_lost(connection):
        yield connection


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """Open a connection that commits each statement. Raises the same errors as ``transaction``."""
    with (
        translate_errors(engine),
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        drop_if_lost(connection),
    ):
        limit_session(connection)
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a connection for statements that only read. Raises the same errors as ``transaction``.

    There are no round trips for BEGIN and COMMIT, and Postgres may keep a generic plan: planning the statement for the
    latest prices takes five times as long as executing it for one coin. Behind a pooler it is a transaction.
    """
    with translate_errors(engine), engine.connect() as connection, drop_if_lost(connection):
        if connection.info.get(DIRECT):
            connection.execution_options(isolation_level="AUTOCOMMIT")
            limit_session(connection)
            yield connection
        else:
            with connection.begin():
                yield connection


class Lock(Enum):
    """The tables that are locked for work that only one session may do at a time; their comments say why.

    Advisory locks would not do: anyone who can connect may take them.
    """

    CATALOG = "lock_catalog"
    EVALUATION = "lock_evaluation"
    CANDLES = "lock_candles"
    GAPS = "lock_gaps"
    EMAILS_PER_DAY = "lock_emails_per_day"


def acquire_lock(connection: Connection, lock: Lock) -> None:
    """Wait for a lock and hold it until the transaction ends."""
    connection.execute(sa.text(f"LOCK TABLE {lock.value} IN EXCLUSIVE MODE"))


def end_long_reader_sessions(engine: Engine) -> int:
    """End sessions of the reader role that have exceeded its limits; return their number."""
    with transaction(engine) as connection:
        return int(connection.execute(sa.text("SELECT end_long_reader_sessions()")).scalar_one())
