"""Commands for operators about mails: what waits or failed, trying again, giving up."""

from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import InvalidRequest
from coinwatch.mail.outbox import STATES, drop_mails, retry_mails, show_outbox

app = typer.Typer()
outbox = typer.Typer(help="Show, retry and drop mails.", no_args_is_help=True)
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
    found = show_outbox(get_engine(), status=status, at_most=limit)
    if as_json:
        show_json(found)
        return
    columns = {
        "id": lambda row: row.id,
        "kind": lambda row: row.kind,
        "to": lambda row: row.recipient,
        "state": lambda row: row.status,
        "tries": lambda row: row.attempts,
        "queued (UTC)": lambda row: row.created_at,
        "sent, or due": lambda row: row.sent_at or row.next_attempt_at,
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
    typer.echo(f"{retry_mails(get_engine(), ids or [], utc_now())} mails are queued again.")


@outbox.command()
def drop(ids: Ids) -> None:
    """Give up mails that wait or failed."""
    typer.echo(f"{drop_mails(get_engine(), ids)} mails are given up.")
