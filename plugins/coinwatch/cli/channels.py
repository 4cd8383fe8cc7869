"""Commands for operators about other channels than mail."""

import sys
from typing import Annotated

import typer

from coinwatch.database import get_engine
from coinwatch.errors import InvalidRequest
from coinwatch.notifications.channels import get_channel, send, set_channel
from coinwatch.settings import get_settings

app = typer.Typer()


@app.command()
def channel(
    email: Annotated[str, typer.Argument(help="Whose alerts.")],
    off: Annotated[bool, typer.Option("--off", help="Take the channel away.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Only send a message to the channel that is set.")] = False,
) -> None:
    """Send somebody's alerts to another channel as well (webhook, Telegram, Slack, ntfy …), as apprise writes it.

    Its address holds secrets, so it is asked for, or read from standard input:
    coinwatch channel ada@example.org < address.txt
    """
    engine = get_engine()
    if off and test:
        raise InvalidRequest("test", "Say either --off or --test.")
    if test:
        url = get_channel(engine, email)
        if url is None:
            raise InvalidRequest("email", f"{email} has no other channel. Set one: coinwatch channel {email}")
        send(url, "coinwatch", "This is a test: alerts will come here.")
        typer.echo("The channel took a test message.")
    elif off:
        set_channel(engine, email, None)
        typer.echo(f"Alerts for {email} go by mail only.")
    else:
        url = typer.prompt("Address of the channel", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
        if not url.strip():
            raise InvalidRequest("url", "The address of the channel is empty. Take it away with --off.")
        set_channel(engine, email, url.strip())
        typer.echo(f"Alerts for {email} go to that channel as well.")
    if not off and not get_settings().channels_enabled:
        typer.echo("Other channels are switched off: set COINWATCH_CHANNELS_ENABLED to true.", err=True)
