"""The report of a benchmark: a table for people, or the same as JSON."""

import json
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

Row = dict[str, object]


@dataclass(frozen=True)
class Goal:
    """A goal and the value measured in this run."""

    text: str
    measured: float | None
    met: bool | None


@dataclass(frozen=True)
class Report:
    """``rows`` are the table, with the same keys in each; ``notes`` say how it was measured and what was skipped."""

    benchmark: str
    title: str
    rows: Sequence[Row]
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    details: dict[str, object] = field(default_factory=dict)
    machine: str = f"{platform.machine()}, Python {platform.python_version()}"


def show(report: Report, *, as_json: bool) -> None:
    print(json.dumps(asdict(report), indent=2) if as_json else text_of(report))


def text_of(report: Report) -> str:
    """The table, the goals and the notes."""
    names = list(report.rows[0]) if report.rows else []
    cells = [names] + [[_cell(row.get(name)) for name in names] for row in report.rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(names))]
    numeric = [all(not isinstance(row.get(name), str) for row in report.rows) for name in names]
    lines = [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]
    goals = [f"goal: {goal.text}; measured {_cell(goal.measured)}{_verdict(goal.met)}" for goal in report.goals]
    return "\n".join(["", report.title, *lines, *goals, *report.notes])


def say(text: str) -> None:
    """Print a line of progress to standard error."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case float() if abs(value) >= 100:
            return f"{value:,.0f}"
        case float():
            return f"{value:.3g}"
        case int():
            return f"{value:,}"
    return str(value)


def _verdict(met: bool | None) -> str:
    return {True: ": met", False: ": NOT met", None: ""}[met]
