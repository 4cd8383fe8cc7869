"""The output of ``status`` and ``start``: tables of services, and next steps."""

from collections.abc import Sequence

from local.airflow import ADMIN
from local.paths import Paths
from local.status import Status


def status_text(status: Status) -> str:
    """The output of ``status``."""
    if status.state == "stopped":
        return "Nothing is running. Start with ./local_run.sh start"
    if status.state == "unsupervised":
        return (
            f"The supervisor is not running, but {status.processes} of its processes are. Restart the stack with "
            "./local_run.sh start, or end them with ./local_run.sh stop."
        )
    rows = [("service", "state", "address", "process")]
    rows += [(s.title, s.state, s.address, str(s.pid or "")) for s in status.services]
    lines = _columns(rows)
    lines += [f"{service.title}: {service.reason}" for service in status.services if service.reason]
    return "\n".join([*lines, *status.missing])


def started_text(paths: Paths, status: Status, new_password: str) -> str:
    """The output of ``start``. ``new_password``: Airflow's, at the first start; otherwise the table names its file."""
    password = new_password or f"password in {_shown(paths)} (COINWATCH_AIRFLOW_ADMIN_PASSWORD)"
    rows = [("service", "address", "login")]
    for service in status.services:
        if service.address:
            login = f"{ADMIN} / {password}" if service.name == "airflow-api-server" else service.login
            title = f"{service.title} (external)" if service.state == "external" else service.title
            rows.append((title, service.address, login))
    return "\n".join(["", *_columns(rows), *status.missing, "", *_next_steps(paths, status), ""])


def _next_steps(paths: Paths, status: Status) -> list[str]:
    command = "./local_run.sh coinwatch"
    if paths.env_file.parent != paths.project:
        command = f"COINWATCH_LOCAL_DIR={paths.home} {command}"
    addresses = {service.name: service.address for service in status.services}
    lines = [
        "Next steps:",
        f"  {addresses['web']}  prices, history, and price alerts",
        f"  {addresses['airflow-api-server']}  the DAG collect_prices, which runs every few minutes",
    ]
    if "mail" in addresses:
        lines.append(f"  {addresses['mail']}  emails to subscribers")
    lines += [
        f"  {command} prices",
        f"  {command} subscribe you@example.org BTC 0.05 --kind change_since_last --cooldown 0",
        "  ./local_run.sh status | logs [service] | stop",
    ]
    return lines


def _shown(paths: Paths) -> str:
    return ".env" if paths.env_file.parent == paths.project else str(paths.env_file)


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
