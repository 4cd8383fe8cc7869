"""Print results as tables, or as JSON with ``--json``.

Everything is printed through this module. Names, errors and rules come from exchanges, mail servers and strangers, so
characters that control a terminal are printed as escapes.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import typer
from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from coinwatch.addresses import display_address
from coinwatch.formatting import (
    CONTROL_CHARACTER,
    escape_control_characters,
    format_age,
    format_count,
    format_percent,
    format_timestamp,
)

SECONDS_BETWEEN_REPORTS = 10.0
MAX_WIDTH = 10_000
LONGEST_ADDRESS = 40

Row = TypeVar("Row")


def echo(text: str, *, err: bool = False, color: str | None = None) -> None:
    """Print lines, on standard error with ``err``, in ``color`` on a terminal."""
    stream = sys.stderr if err else sys.stdout
    typer.secho(escape_control_characters(text, newlines=True), err=err, fg=color if stream.isatty() else None)


def show_json(value: object) -> None:
    """Print a value as indented JSON, formatted as the REST API formats it: times in ISO 8601 and UTC."""
    text = json.dumps(to_jsonable_python(_plain(value)), indent=2, ensure_ascii=False)
    typer.echo(CONTROL_CHARACTER.sub(_json_escape, text))


def show_table(
    rows: Sequence[Row], columns: Mapping[str, Callable[[Row], object]], *, empty: str, right: Sequence[str] = ()
) -> None:
    """Print a table, or ``empty`` if there are no rows. ``right`` lists the right-aligned columns.

    On a terminal the table is as wide as the terminal. In a pipe each row is one line, so that it can be searched.
    """
    if not rows:
        echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value(row))) for value in columns.values()))
    Console(width=None if sys.stdout.isatty() else MAX_WIDTH, soft_wrap=False).print(table)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None]]:
    """Show progress on standard error: a bar on a terminal, a line every 10 seconds elsewhere.

    Yields a function that takes a description and the fraction done (0 to 1).
    """
    if sys.stderr.isatty():
        text_column = TextColumn("{task.description}", markup=False)
        columns = (text_column, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=1.0)
            yield lambda text, fraction: progress.update(
                task, description=escape_control_characters(text), completed=fraction
            )
        return
    reported_at = time.monotonic()

    def report(text: str, fraction: float) -> None:
        nonlocal reported_at
        if time.monotonic() - reported_at >= SECONDS_BETWEEN_REPORTS:
            reported_at = time.monotonic()
            echo(f"{text} ({fraction:.0%})", err=True)

    yield report


def show_reasons(counts: Mapping[str, Mapping[str, int]]) -> None:
    """Print how many candles were rejected, repaired and so on, one line per reason."""
    for what, reasons in counts.items():
        for reason, number in sorted(reasons.items()):
            echo(f"  {format_count(number, 'row')} {what}: {reason}")


def ago(moment: datetime | None, now: datetime) -> str:
    """``3 min ago``; ``never`` for None."""
    return "never" if moment is None else format_age(now - moment)


def short_address(address: str) -> str:
    """An address for a table, as its owner writes it, without its middle if it is long. ``--json`` has it in full."""
    half, shown = LONGEST_ADDRESS // 2, display_address(address)
    return shown if len(shown) <= LONGEST_ADDRESS else f"{shown[:half]}…{shown[1 - half :]}"


def percent(value: float | None) -> str | None:
    """``+1.25%``; None stays None."""
    return None if value is None else format_percent(value, signed=True)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return format_timestamp(value)
    return escape_control_characters(str(value))


def _plain(value: Any) -> Any:
    """Models, dataclasses and named tuples as dictionaries, at any depth."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _json_escape(found: Any) -> str:
    r"""``\u009b`` for a character that JSON allows in text; the line breaks of the indentation stay."""
    return "\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}"
