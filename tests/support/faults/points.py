"""The ten points of a cycle at which a fault can be injected, and stopping a process there.

The process that runs the cycle watches its statements in the database driver, and recognizes them by the first line
of their files. The three points within an email's delivery are reported by the mail server instead.
"""

import re
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy import Engine

from coinwatch.database import SQL_ROOT


@dataclass(frozen=True)
class Moment:
    """Before a statement, after it, or after it is committed; ``statement`` is a file below sql/."""

    when: Literal["before", "after", "committed"]
    statement: str


# None: reported by the mail server. The number N: the fault is injected at a random one of the first N times that the
# cycle reaches the point.
POINTS: Mapping[str, tuple[Moment | None, int]] = {
    "before fetch": (Moment("before", "prices/ingest/begin_live_fetch"), 3),
    "after COPY": (Moment("before", "prices/ingest/insert_quotes"), 3),
    "after upsert": (Moment("after", "prices/ingest/insert_quotes"), 3),
    "after match": (Moment("after", "alerts/evaluation/fire_alerts"), 1),
    "after outbox commit": (Moment("committed", "alerts/evaluation/fire_alerts"), 1),
    "after claim": (Moment("committed", "notifications/outbox/claim_emails"), 1),
    "after RCPT": (None, 20),
    "after the final dot": (None, 20),
    "after 250": (None, 20),
    "after mark-sent": (Moment("committed", "notifications/outbox/mark_sent"), 3),
}
ANYWHERE = "anywhere"  # at a random moment of the cycle
SERVER_POINTS = {"after RCPT": "rcpt", "after the final dot": "dot", "after 250": "replied"}


def stop_at(engine: Engine, moment: Moment, nth: int, stop: Callable[[], None]) -> None:
    """Call ``stop`` once, when the engine's connections reach the moment for the ``nth`` time."""
    watch = _Watch(moment, nth, stop)

    class WatchedCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            with watch.around(self.connection, query):
                return super().execute(query, *arguments, **options)

        def executemany(self, query: Any, *arguments: Any, **options: Any) -> None:
            with watch.around(self.connection, query):
                super().executemany(query, *arguments, **options)

    @sa.event.listens_for(engine, "connect")
    def watch_connection(connection: psycopg.Connection[Any], _: object) -> None:
        connection.cursor_factory = WatchedCursor
        commit = connection.commit

        def watched_commit() -> None:
            commit()
            watch.committed(connection)

        connection.commit = watched_commit  # type: ignore[method-assign]


class _Watch:
    def __init__(self, moment: Moment, nth: int, stop: Callable[[], None]) -> None:
        self._moment = moment
        first_line = (SQL_ROOT / f"{moment.statement}.sql").read_text(encoding="utf-8").splitlines()[0]
        self._beginning = re.split(r"[:%]", first_line)[0]  # the driver writes parameters differently
        self._left = nth
        self._stop = stop
        self._lock = threading.Lock()
        self._uncommitted: set[int] = set()

    def around(self, connection: psycopg.Connection[Any], query: object) -> "AbstractContextManager[None]":
        return _Around(self, connection) if _text(query).startswith(self._beginning) else _Nothing()

    def before(self) -> None:
        if self._moment.when == "before":
            self._arrive()

    def after(self, connection: psycopg.Connection[Any]) -> None:
        if self._moment.when == "after" or (self._moment.when == "committed" and connection.autocommit):
            self._arrive()
        elif self._moment.when == "committed":
            self._uncommitted.add(id(connection))

    def committed(self, connection: psycopg.Connection[Any]) -> None:
        if id(connection) in self._uncommitted:
            self._uncommitted.discard(id(connection))
            self._arrive()

    def _arrive(self) -> None:
        with self._lock:
            self._left -= 1
            arrived = self._left == 0
        if arrived:
            self._stop()


class _Around(AbstractContextManager[None]):
    def __init__(self, watch: _Watch, connection: psycopg.Connection[Any]) -> None:
        self._watch, self._connection = watch, connection

    def __enter__(self) -> None:
        self._watch.before()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._watch.after(self._connection)


class _Nothing(AbstractContextManager[None]):
    def __exit__(self, *_: object) -> None:
        return None


def _text(query: object) -> str:
    if isinstance(query, bytes):
        return query[:200].decode(errors="replace")
    return query.as_string() if isinstance(query, sql.Composable) else str(query)
