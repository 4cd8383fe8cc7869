"""Seconds that an evaluation spends in each of its statements, by name."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from coinwatch.database import SQL_ROOT


@contextmanager
def timed_statements(engine: sa.Engine) -> Iterator[dict[str, float]]:
    """Seconds by statement (``alerts/evaluation/find_candidates``), summed up while the context lasts; others are
    ``other``."""
    paths = SQL_ROOT.rglob("*.sql")
    names = {_opening(path.read_text()): str(path.relative_to(SQL_ROOT).with_suffix("")) for path in paths}
    seconds: dict[str, float] = defaultdict(float)
    began = 0.0

    def before(*_: Any) -> None:
        nonlocal began
        began = time.perf_counter()

    def after(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        seconds[names.get(_opening(text), "other")] += time.perf_counter() - began

    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "after_cursor_execute", after)
    try:
        yield seconds
    finally:
        sa.event.remove(engine, "before_cursor_execute", before)
        sa.event.remove(engine, "after_cursor_execute", after)


def _opening(text: str) -> str:
    """The comment in its first line, up to the first parameter, which the driver formats differently."""
    return re.split("[:%\\n]", text, maxsplit=1)[0]
