"""Manage the outbox: show, retry and drop emails, process bounces."""

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from coinwatch.audit import command_line_actor
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import ago, echo, short_address, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import CoinwatchError, InvalidRequest
from coinwatch.formatting import format_count
from coinwatch.mail.bounces import Bounce, process_bounce
from coinwatch.notifications.outbox import STATES, OutboxRow, drop_emails, list_emails, retry_emails

app = typer.Typer()
outbox = typer.Typer(help="Show, retry and drop emails; process bounces.", no_args_is_help=True)
app.add_typer(outbox, name="outbox")


@outbox.command()
def show(
    status: Annotated[str | None, typer.Option(help=f"Only this status: {', '.join(STATES)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of emails.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show emails with their status, newest first."""
    if status is not None and status not in STATES:
        raise InvalidRequest("status", f"--status is {status!r}; it must be one of {', '.join(STATES)}.")
    found = list_emails(get_engine(), status=status, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        show_json(found)
        return
    now = utc_now()
    columns = {
        "id": lambda row: row.id,
        "kind": lambda row: row.kind if row.channel == "email" else f"{row.kind} by {row.channel}",
        "to": lambda row: short_address(row.recipient),
        "status": lambda row: row.status,
        "last or next attempt": lambda row: _attempt(row, now),
        "attempts": lambda row: row.attempts,
        "created": lambda row: ago(row.created_at, now),
        "last response": lambda row: row.last_error,
    }
    show_table(found, columns, right=("id", "attempts"), empty="No matching emails.")
    if more:
        echo(f"Showing the newest {limit}. To see more, pass --limit.")


@outbox.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Ids of failed emails.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Retry all failed emails.")] = False,
) -> None:
    """Queue failed emails again."""
    if bool(ids) == everything:
        raise InvalidRequest("ids", "Pass either the ids of emails or --all.")
    now = utc_now()
    retried = retry_emails(get_engine(), ids or [], now, actor=command_line_actor(now))
    echo(f"{format_count(retried, 'email')} queued again.")


@outbox.command()
def drop(
    ids: Annotated[list[int] | None, typer.Argument(help="Ids of queued or failed emails.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Drop all failed emails.")] = False,
) -> None:
    """Drop queued or failed emails: they are never sent."""
    if bool(ids) == everything:
        raise InvalidRequest("ids", "Pass either the ids of emails or --all.")
    dropped = drop_emails(get_engine(), ids or [], actor=command_line_actor(utc_now()))
    echo(f"{format_count(dropped, 'email')} dropped.")


@outbox.command()
def process_bounces(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files with one bounce message each. Default: one message from standard input.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Process bounce messages.

    Marks emails as failed and suppresses addresses that don't exist. Can be used in a mail server's pipe: exits with 75
    (temporary failure) while the database is unavailable, and with 0 for a message that is not a bounce.
    """
    if not files and sys.stdin.isatty():
        raise InvalidRequest("files", "Pass the files with the messages, or pipe a message to standard input.")
    try:
        for name, data in [(str(file), file.read_bytes()) for file in files or []] or [("-", sys.stdin.buffer.read())]:
            echo(f"{name}: {_describe(process_bounce(get_engine(), data, utc_now()))}")
    except CoinwatchError as error:
        echo(f"coinwatch: {error}", err=True)
        raise typer.Exit(os.EX_TEMPFAIL) from None


def _attempt(row: OutboxRow, now: datetime) -> str:
    if row.status != "queued":
        return ago(row.sent_at or row.next_attempt_at, now)
    seconds = (row.next_attempt_at - now).total_seconds()
    if seconds <= 0:
        return "next run"
    return f"in {seconds:.0f} s" if seconds < 120 else f"in {seconds / 60:.0f} min"


def _describe(bounce: Bounce | None) -> str:
    if bounce is None:
        return "not a bounce of one of our emails; nothing changed"
    failed = f"email {bounce.outbox_id} to {bounce.recipient} bounced ({bounce.reason})"
    if bounce.paused is None:
        return f"{failed}; marked as failed"
    return f"{failed}; address suppressed, {format_count(bounce.paused, 'subscription')} paused"
