"""Manage a subscriber's data: show, export, sign out, erase, lift a suppression."""

from typing import Annotated

import typer

from coinwatch.addresses import display_address
from coinwatch.alerts.users import get_user_id, sign_out_everywhere
from coinwatch.audit import command_line_actor, record_action
from coinwatch.cli.options import AsJson
from coinwatch.cli.output import echo, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import InvalidRequest
from coinwatch.formatting import format_count, format_timestamp
from coinwatch.notifications import data_export, erasure
from coinwatch.notifications.subscribers import Subscriber, get_subscriber
from coinwatch.notifications.suppression import lift_suppressions
from coinwatch.time_range import parse_duration

app = typer.Typer()
subscriber = typer.Typer(help="Show, export, sign out or erase a subscriber; lift suppressions.", no_args_is_help=True)
app.add_typer(subscriber, name="subscriber")

Email = Annotated[str, typer.Argument(help="The subscriber's email address.")]


@subscriber.command()
def show(email: Email, as_json: AsJson = False) -> None:
    """Show a subscriber's address, settings and subscriptions."""
    engine = get_engine()
    found = get_subscriber(engine, get_user_id(engine, email))
    if as_json:
        show_json(found)
        return
    for line in _describe(found):
        echo(line)
    columns = {
        "id": lambda row: row.id,
        "rule": lambda row: f"{row.base}/{row.quote} at {row.exchange}: {row.condition}",
        "status": lambda row: row.state(utc_now()),
        "alerts": lambda row: row.alerts,
        "last alert": lambda row: row.last_alert_at,
    }
    show_table(found.subscriptions, columns, right=("id", "alerts"), empty="No subscriptions.")


@subscriber.command()
def export(email: Email) -> None:
    """Print all data about a subscriber as JSON."""
    engine = get_engine()
    user_id, now = get_user_id(engine, email), utc_now()
    record_action(engine, command_line_actor(now), "subscriber.export", f"subscriber {user_id}")
    show_json(data_export.export(engine, user_id, now))


@subscriber.command()
def sign_out(email: Email) -> None:
    """End a subscriber's sessions and revoke the links that sign in, for example after an email was forwarded.

    Their next email has a new link. Links that end alerts keep working.
    """
    engine = get_engine()
    sign_out_everywhere(engine, get_user_id(engine, email), actor=command_line_actor(utc_now()))
    echo("Signed out: all sessions have ended, and the links in earlier emails no longer sign in.")


@subscriber.command()
def erase(
    email: Email, yes: Annotated[bool, typer.Option("--yes", help="Confirm. This can't be undone.")] = False
) -> None:
    """Erase a subscriber's data, including alerts and emails."""
    engine = get_engine()
    user_id = get_user_id(engine, email)
    if not yes:
        found = get_subscriber(engine, user_id)
        subscriptions = format_count(len(found.subscriptions), "subscription")
        address = display_address(found.email)
        raise InvalidRequest("yes", f"This permanently erases {address} with {subscriptions}. Pass --yes to confirm.")
    erasure.erase(engine, user_id, actor=command_line_actor(utc_now()))
    echo("Erased. An email that is already being sent may still arrive.")


@subscriber.command()
def lift_suppression(
    email: Annotated[str | None, typer.Argument(help="The subscriber's email address. Omit with --last.")] = None,
    last: Annotated[
        str | None, typer.Option(help="All addresses suppressed within this time, for example 30m, 24h or 7d.")
    ] = None,
) -> None:
    """Send email to suppressed addresses again.

    Resumes the subscriptions that the suppression paused. Use --last after a problem on your side, such as a broken
    relay; it skips addresses that were suppressed because of a complaint.
    """
    if (email is None) == (last is None):
        raise InvalidRequest("last", "Pass either an address or --last, for example --last 2h.")
    now = utc_now()
    since = now - parse_duration("--last", last) if last else None
    addresses, subscriptions = lift_suppressions(
        get_engine(), now, email=email, since=since, actor=command_line_actor(now)
    )
    echo(
        f"Suppression lifted for {addresses} address{'' if addresses == 1 else 'es'}; "
        f"{format_count(subscriptions, 'subscription')} resumed."
    )
    echo("To send the emails that failed in the meantime: coinwatch outbox retry --all")


def _describe(found: Subscriber) -> list[str]:
    preferences = found.preferences
    quiet_hours = "none"
    if preferences.quiet_from:
        quiet_hours = f"{preferences.quiet_from:%H:%M} to {preferences.quiet_until:%H:%M}"
    confirmed = f"confirmed {format_timestamp(found.verified_at)}" if found.verified_at else "not confirmed"
    lines = [
        f"Address: {display_address(found.email)}, {confirmed}",
        f"Time zone: {preferences.timezone}; quiet hours: {quiet_hours}; digest: {preferences.digest}",
    ]
    if found.channel:
        lines.append(f"Other channel: {found.channel}")
    if found.suppressed_at:
        lines.append(f"Suppressed since {format_timestamp(found.suppressed_at)}: {found.suppression_reason}")
    if found.held:
        lines.append(f"Alerts held since {format_timestamp(found.held.since)}: {found.held.reason}")
    return lines
