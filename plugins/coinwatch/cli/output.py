"""Results for people (tables) and for programs (``--json``)."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from coinwatch.formatting import format_age, format_percent, format_timestamp

SECONDS_BETWEEN_LINES = 10.0
WIDEST = 10_000

Row = TypeVar("Row")
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output: JSON on standard output.")]


def show_json(value: object) -> None:
    """A dataclass, or a list of them, as indented JSON; moments as ISO 8601 in UTC."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def show_table(
    rows: Sequence[Row], columns: Mapping[str, Callable[[Row], object]], *, empty: str, right: Sequence[str] = ()
) -> None:
    """Rows under headings, or the sentence ``empty``. ``right`` names the columns of numbers.

    On a terminal the columns share its width; in a pipe a row is a line, so that whole addresses can be searched for.
    """
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value(row)) for value in columns.values()))
    Console(width=None if sys.stdout.isatty() else WIDEST, soft_wrap=False).print(table)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal, a line now and then elsewhere; both on standard error. Told a text and a part of 1."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=1.0)
            yield lambda text, part: progress.update(task, description=text, completed=part)
        return
    said_at = time.monotonic()

    def say(text: str, part: float) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= SECONDS_BETWEEN_LINES:
            said_at = time.monotonic()
            typer.echo(f"{text} ({part:.0%})", err=True)

    yield say


def ago(moment: datetime | None, now: datetime) -> str:
    """``3 min ago``; ``never`` for None."""
    return "never" if moment is None else format_age(now - moment)


def byte_size(count: float) -> str:
    """``512 B``, ``1.5 kB``, ``2.3 GB``: powers of 1,024, as Postgres says them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def percent(value: float | None) -> str | None:
    """``+1.25%``; None stays None."""
    return None if value is None else format_percent(value, signed=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
