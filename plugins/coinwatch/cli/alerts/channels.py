"""Send a subscriber's alerts to another channel as well."""

import sys
from typing import Annotated

import typer

from coinwatch.audit import command_line_actor
from coinwatch.cli.output import echo
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import InvalidRequest
from coinwatch.notifications.channels import get_channel, send, set_channel
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def channel(
    email: Annotated[str, typer.Argument(help="The subscriber's email address.")],
    off: Annotated[bool, typer.Option("--off", help="Remove the channel.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Send a test message to the current channel.")] = False,
) -> None:
    """Also send a subscriber's alerts to another channel.

    The channel is an Apprise URL for a webhook, Telegram, Slack, ntfy or another service. It contains secrets, so the
    command prompts for it or reads it from standard input: coinwatch channel ada@example.org < url.txt
    """
    engine = get_engine()
    if off and test:
        raise InvalidRequest("test", "Pass either --off or --test.")
    if test:
        url = get_channel(engine, email)
        if url is None:
            raise InvalidRequest("email", f"{email} has no channel. Add one with: coinwatch channel {email}")
        send(url, "coinwatch", "This is a test. Your alerts will be sent here.")
        echo("Test message sent.")
    elif off:
        set_channel(engine, email, None, actor=command_line_actor(utc_now()))
        echo(f"Channel removed. Alerts for {email} are sent by email only.")
    else:
        url = typer.prompt("Apprise URL", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
        if not url.strip():
            raise InvalidRequest("url", "The channel URL is empty. To remove the channel, pass --off.")
        if "\0" in url:
            raise InvalidRequest("url", "The channel URL contains a NUL character. Remove it and try again.")
        set_channel(engine, email, url.strip(), actor=command_line_actor(utc_now()))
        echo(f"Channel set. Alerts for {email} are sent there and by email.")
    if not off and not get_settings().channels_enabled:
        echo("Channels are disabled. Set COINWATCH_CHANNELS_ENABLED=true to enable them.", err=True)
