"""Results for people (tables) and for programs (``--json``)."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

Row = TypeVar("Row")
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output: JSON on standard output.")]


def show_json(value: object) -> None:
    """A dataclass, or a list of them, as indented JSON; moments as ISO 8601 in UTC."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def show_table(
    rows: Sequence[Row], columns: dict[str, Callable[[Row], object]], *, empty: str, right: Sequence[str] = ()
) -> None:
    """Rows under headings, or the sentence ``empty``. ``right`` names the columns of numbers."""
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value(row)) for value in columns.values()))
    Console(soft_wrap=False).print(table)


def ago(moment: datetime | None, now: datetime) -> str:
    """``12 s ago``, ``3 min ago``, ``5 h ago``, ``2 d ago``; ``never`` for None."""
    if moment is None:
        return "never"
    seconds = max(0.0, (now - moment).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def byte_size(count: float) -> str:
    """``512 B``, ``1.5 kB``, ``2.3 GB``: powers of 1,024, as Postgres says them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
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
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
