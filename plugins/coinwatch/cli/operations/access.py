"""Manage API keys, and show the audit log."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from coinwatch.access import api_keys
from coinwatch.access.api_keys import SCOPES, ApiKey
from coinwatch.audit import Entry, command_line_actor, list_entries
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import ago, echo, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.formatting import format_timestamp

app = typer.Typer()
api_key = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)
app.add_typer(api_key, name="api-key")


@api_key.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, for example backup.")],
    scope: Annotated[list[str], typer.Option(help=f"What the key allows; repeatable: {', '.join(SCOPES)}.")],
    days: Annotated[int, typer.Option(min=0, max=3650, help="Days until the key expires; 0 for never.")] = 365,
    as_json: AsJson = False,
) -> None:
    """Create an API key.

    The key is printed once and is not stored. Send it in the header Authorization: Bearer KEY.
    """
    now = utc_now()
    expires_at = now + timedelta(days=days) if days else None
    key_id, token = api_keys.create_api_key(get_engine(), command_line_actor(now), name, scope, expires_at)
    if as_json:
        show_json({"id": key_id, "key": token, "expires_at": expires_at})
        return
    echo(token)
    expires = f"expires {format_timestamp(expires_at)}" if expires_at else "doesn't expire"
    echo(f"API key {key_id} created; it {expires}. Store it now: it can't be shown again.", err=True)


@api_key.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List API keys, newest first."""
    found, now = api_keys.list_api_keys(get_engine()), utc_now()
    if as_json:
        show_json(found)
        return
    columns = {
        "id": lambda row: row.id,
        "name": lambda row: row.name,
        "scopes": lambda row: ", ".join(row.scopes),
        "state": lambda row: row.state(now),
        "expires": _expires,
        "last used": lambda row: ago(row.last_used_at, now),
        "created by": lambda row: row.created_by,
    }
    show_table(found, columns, right=("id",), empty="No API keys. Create one with: coinwatch api-key create")


@api_key.command()
def revoke(key_id: Annotated[int, typer.Argument(help="Id of the key, as `coinwatch api-key list` lists it.")]) -> None:
    """Revoke an API key. It stops working immediately."""
    name = api_keys.revoke_api_key(get_engine(), command_line_actor(utc_now()), key_id)
    echo(f"API key {key_id} ({name}) revoked.")


@app.command()
def audit(
    action: Annotated[
        str | None, typer.Option(help="Only this action, or all that begin with it, for example outbox.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only actions of this operator.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of entries.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show what operators did, newest first."""
    found = list_entries(get_engine(), action=action, actor=actor, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        show_json(found)
        return
    columns = {
        "time": lambda row: row.at,
        "operator": lambda row: f"{row.actor} ({row.via})",
        "action": lambda row: row.action,
        "target": lambda row: row.target,
        "details": _details,
    }
    show_table(found, columns, empty="No matching entries.")
    if more:
        echo(f"Showing the newest {limit}. To see more, pass --limit.")


def _expires(row: ApiKey) -> datetime | str:
    return row.expires_at or "never"


def _details(row: Entry) -> str:
    return ", ".join(f"{name}: {value}" for name, value in row.details.items() if value is not None)
