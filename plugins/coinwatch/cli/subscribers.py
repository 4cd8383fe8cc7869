"""Commands for operators about a person: what is known of them, all of it as JSON, waking and erasing it."""

from typing import Annotated

import typer

from coinwatch.alerts.users import get_user_id
from coinwatch.cli.output import AsJson, show_json, show_table
from coinwatch.cli.parsing import duration
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import InvalidRequest
from coinwatch.notifications.data_export import export as everything_about
from coinwatch.notifications.erasure import erase as erase_person
from coinwatch.notifications.subscribers import Subscriber, get_subscriber
from coinwatch.notifications.suppression import lift_suppressions

app = typer.Typer()
person = typer.Typer(
    help="Show, export and erase what is known of a person; mail refused addresses again.", no_args_is_help=True
)
app.add_typer(person, name="person")

Email = Annotated[str, typer.Argument(help="The person's address.")]


@person.command()
def show(email: Email, as_json: AsJson = False) -> None:
    """Show a person's address, wishes and alerts."""
    engine = get_engine()
    found = get_subscriber(engine, get_user_id(engine, email))
    if as_json:
        show_json(found)
        return
    for line in _lines(found):
        typer.echo(line)
    columns = {
        "id": lambda own: own.id,
        "rule": lambda own: f"{own.base}/{own.quote} at {own.exchange}: {own.condition}",
        "status": lambda own: own.state(utc_now()),
        "alerts": lambda own: own.alerts,
        "last alert (UTC)": lambda own: own.last_alert_at,
    }
    show_table(found.subscriptions, columns, right=("id", "alerts"), empty="No subscriptions.")


@person.command()
def export(email: Email) -> None:
    """Write everything that is known of a person to standard output, as JSON."""
    engine = get_engine()
    show_json(everything_about(engine, get_user_id(engine, email), utc_now()))


@person.command()
def erase(
    email: Email, yes: Annotated[bool, typer.Option("--yes", help="Do it; nobody can bring it back.")] = False
) -> None:
    """Erase a person with their subscriptions, alerts and mails."""
    engine = get_engine()
    user_id = get_user_id(engine, email)
    if not yes:
        found = get_subscriber(engine, user_id)
        raise InvalidRequest(
            "yes",
            f"This erases {found.email} with {len(found.subscriptions)} subscriptions for good. Say so with --yes.",
        )
    erase_person(engine, user_id)
    typer.echo("Erased. A mail that was just on its way may still arrive.")


@person.command()
def wake(
    email: Annotated[str | None, typer.Argument(help="The person's address; none with --last.")] = None,
    last: Annotated[str | None, typer.Option(help="Everybody refused in this time: 30m, 24h, 7d.")] = None,
) -> None:
    """Mail people again whom the mail server refused for a reason of ours, and let their rules judge again."""
    if (email is None) == (last is None):
        raise InvalidRequest("last", "Name one address, or say for how long all were refused: --last 2h.")
    now = utc_now()
    since = now - duration("last", last) if last else None
    people, rules = lift_suppressions(get_engine(), now, email=email, since=since)
    typer.echo(f"{people} addresses get mail again, {rules} of their rules judge again.")
    typer.echo("What was refused meanwhile goes out with: coinwatch outbox retry --all")


def _lines(found: Subscriber) -> list[str]:
    wishes = found.preferences
    quiet = f"{wishes.quiet_from:%H:%M} to {wishes.quiet_until:%H:%M}" if wishes.quiet_from else "none"
    confirmed = f"{found.verified_at:%Y-%m-%d %H:%M} UTC" if found.verified_at else "not yet"
    lines = [
        f"Address: {found.email}, confirmed {confirmed}",
        f"Time zone: {wishes.timezone}; quiet hours: {quiet}; digest: {wishes.digest}",
    ]
    if found.channel:
        lines.append(f"Other channel: {found.channel}")
    if found.suppressed_at:
        lines.append(f"Refused since {found.suppressed_at:%Y-%m-%d %H:%M} UTC: {found.suppression_reason}")
    if found.held:
        lines.append(f"Alerts are held ({found.held.reason}) since {found.held.since:%Y-%m-%d %H:%M} UTC")
    return lines
