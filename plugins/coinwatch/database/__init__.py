"""Access to Postgres: one engine per process, statements from ``sql/``, transactions that raise coinwatch's errors."""

from coinwatch.database.engine import create_engine, get_engine, limit_statements, parse_database_url
from coinwatch.database.error_translation import translate_errors
from coinwatch.database.statements import SQL_ROOT, driver_connection, fetch_rows, statement, unprepared
from coinwatch.database.transactions import (
    Lock,
    acquire_lock,
    autocommit,
    end_long_reader_sessions,
    reading,
    transaction,
)

__all__ = [
    "SQL_ROOT",
    "Lock",
    "acquire_lock",
    "autocommit",
    "create_engine",
    "driver_connection",
    "end_long_reader_sessions",
    "fetch_rows",
    "get_engine",
    "limit_statements",
    "parse_database_url",
    "reading",
    "statement",
    "transaction",
    "translate_errors",
    "unprepared",
]
