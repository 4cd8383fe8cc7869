"""Commands for operators about mails: what waits or failed, trying again, giving up, what came back."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, ago, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.mail.bounces import Bounce, process_bounce
from coinwatch.notifications.outbox import STATES, OutboxRow, drop_emails, list_emails, retry_emails

app = typer.Typer()
outbox = typer.Typer(help="Show, retry and drop mails; read reports of mails that came back.", no_args_is_help=True)
app.add_typer(outbox, name="outbox")

Ids = Annotated[list[int], typer.Argument(help="Numbers that `coinwatch outbox show` names.")]


@outbox.command()
def show(
    status: Annotated[str | None, typer.Option(help=f"Only one state: {', '.join(STATES)}.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show the newest mails with what the server said of them."""
    if status is not None and status not in STATES:
        raise InvalidRequest("status", f"--status {status!r} is none of {', '.join(STATES)}.")
    found = list_emails(get_engine(), status=status, at_most=limit)
    if as_json:
        show_json(found)
        return
    now = utc_now()
    columns = {
        "id": lambda row: row.id,
        "kind": lambda row: row.kind if row.channel == "email" else f"{row.kind} by {row.channel}",
        "to": lambda row: row.recipient,
        "state": lambda row: row.status,
        "when": lambda row: _when(row, now),
        "tries": lambda row: row.attempts,
        "made": lambda row: ago(row.created_at, now),
        "last answer": lambda row: row.last_error,
    }
    show_table(found, columns, right=("id", "tries"), empty="No such mails.")


@outbox.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers of mails that failed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
) -> None:
    """Try failed mails again at the next delivery."""
    if bool(ids) == everything:
        raise InvalidRequest("ids", "Name the mails to try again, or say --all.")
    typer.echo(f"{retry_emails(get_engine(), ids or [], utc_now())} mails are queued again.")


@outbox.command()
def drop(ids: Ids) -> None:
    """Give up mails that wait or failed."""
    typer.echo(f"{drop_emails(get_engine(), ids)} mails are given up.")


@outbox.command()
def process_bounces(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Mails, a file each; without any, one from standard input.", exists=True, dir_okay=False),
    ] = None,
) -> None:
    """Read reports of mails that came back: an address that takes no mail gets none any more.

    Made to stand in a mail server's pipe: exits with 75 (try again later) while Postgres is away, and with 0 after mail
    that is no such report.
    """
    if not files and sys.stdin.isatty():
        raise InvalidRequest("files", "Name the mails' files, or pipe one in.")
    try:
        for name, data in [(str(file), file.read_bytes()) for file in files or []] or [("-", sys.stdin.buffer.read())]:
            typer.echo(f"{name}: {_outcome(process_bounce(get_engine(), data, utc_now()))}")
    except CoinwatchError as error:
        typer.echo(f"coinwatch: {error}", err=True)
        raise typer.Exit(os.EX_TEMPFAIL) from None


def _when(row: OutboxRow, now: datetime) -> str:
    """When it was sent or tried last, or when what waits is tried next."""
    if row.status != "queued":
        return ago(row.sent_at or row.next_attempt_at, now)
    seconds = (row.next_attempt_at - now).total_seconds()
    if seconds <= 0:
        return "next run"
    return f"in {seconds:.0f} s" if seconds < 120 else f"in {seconds / 60:.0f} min"


def _outcome(mail: Bounce | None) -> str:
    if mail is None:
        return "no report of a mail of ours that came back, nothing changed"
    said = f"mail {mail.outbox_id} to {mail.recipient} came back ({mail.reason})"
    if mail.resting is None:
        return f"{said}; it has failed"
    return f"{said}; nothing more is sent there, {mail.resting} of its rules rest"
