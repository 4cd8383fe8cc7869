"""What a person reads: the table of what runs, and what to try next."""

from collections.abc import Sequence

from local.airflow import ADMIN
from local.layout import Layout
from local.status import Status


def status_text(status: Status) -> str:
    """The table of ``status``."""
    if status.state == "stopped":
        return "Nothing runs. Start it with ./local_run.sh start"
    if status.state == "unsupervised":
        return (
            f"The supervisor is gone; {status.processes} processes still run and nobody restarts them. "
            "./local_run.sh start ends them and starts anew, ./local_run.sh stop only ends them."
        )
    rows = [("part", "state", "address", "process")]
    rows += [(p.title, p.state, p.address, str(p.pid or "")) for p in status.parts]
    lines = _columns(rows)
    lines += [f"{part.title}: {part.reason}" for part in status.parts if part.reason]
    return "\n".join([*lines, *status.missing])


def started_text(layout: Layout, status: Status, new_password: str) -> str:
    """The table after a start. ``new_password`` is Airflow's, at the first start; otherwise the table
    says where it stands."""
    password = new_password or f"password in {_shown(layout)} (COINWATCH_AIRFLOW_ADMIN_PASSWORD)"
    rows = [("running", "address", "login")]
    for part in status.parts:
        if part.address:
            login = f"{ADMIN} / {password}" if part.name == "airflow-api-server" else part.login
            rows.append((part.title + (" (yours)" if part.state == "yours" else ""), part.address, login))
    return "\n".join(["", *_columns(rows), *status.missing, "", *_next_steps(layout, status), ""])


def _next_steps(layout: Layout, status: Status) -> list[str]:
    command = "./local_run.sh coinwatch"
    if layout.env_file.parent != layout.project:
        command = f"COINWATCH_LOCAL_DIR={layout.home} {command}"
    addresses = {part.name: part.address for part in status.parts}
    lines = [
        "What to try next:",
        f"  {addresses['web']}  prices, history, and a form to subscribe",
        f"  {addresses['airflow-api-server']}  the DAG collect_prices, started every few minutes",
    ]
    if "mail" in addresses:
        lines.append(f"  {addresses['mail']}  the mails that subscribers get")
    lines += [
        f"  {command} prices",
        f"  {command} subscribe you@example.org BTC 0.05",
        "  ./local_run.sh status | logs [part] | stop",
    ]
    return lines


def _shown(layout: Layout) -> str:
    return ".env" if layout.env_file.parent == layout.project else str(layout.env_file)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
