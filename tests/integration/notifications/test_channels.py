"""Channels other than email: real HTTP servers behind apprise's json:// URLs."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
import typer.testing

from coinwatch.alerts.rules import Rule
from coinwatch.cli.alerts import channels as command
from coinwatch.database import transaction
from coinwatch.errors import ConfigurationError, InvalidRequest, NotFound, PermanentEmailError, TemporaryEmailError
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.channels import deliver_to_channels, send, set_channel
from coinwatch.notifications.claims import MAX_ATTEMPTS
from coinwatch.notifications.notify import NotificationPolicy
from coinwatch.pipeline import store_alerts
from coinwatch.settings import Settings
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import smtp_server
from tests.support.subscriptions import subscribe

SECRET = "s3cret-token"
ADA = "ada@example.org"


@dataclass
class Webhook:
    """What a webhook received, and how it replies."""

    port: int = 0
    status: int = 200
    wait: float = 0.0
    over: Event = field(default_factory=Event)
    received: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://reader:{SECRET}@127.0.0.1:{self.port}/{SECRET}"


@contextmanager
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.over.wait(hook.wait)
            if hook.status == 200:
                hook.received.append(json.loads(body))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    yield hook
    hook.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


@pytest.fixture
def settings() -> Settings:
    return make_settings(channels_enabled=True)


def alert(engine: sa.Engine, users: dict[str, str | None], *, channels: bool = True) -> None:
    """One alert at minute 1 for each user, with their channels."""
    for email, url in users.items():
        subscribe(
            engine, email=email, coin="BTC", exchange="kraken", rule=Rule(threshold=5), now=at(-1), confirmed=True
        )
        if url:
            set_channel(engine, email, url)
    load(engine, quote(100.0, 0), quote(105.5, 1))
    store_alerts(engine, at(1), policy=NotificationPolicy(channels=channels))


def rows(engine: sa.Engine, channel: str = "apprise") -> list[sa.Row[Any]]:
    with transaction(engine) as connection:
        return list(
            connection.execute(
                sa.text("SELECT * FROM outbox WHERE channel = :channel ORDER BY id"), {"channel": channel}
            )
        )


def deliver(engine: sa.Engine, settings: Settings, minutes: float = 1) -> Any:
    return deliver_to_channels(engine, settings, clock=lambda: at(minutes))


def test_alert_is_sent_by_email_and_to_the_channel(catalog: sa.Engine, hook: Webhook) -> None:
    with smtp_server() as mailbox:
        settings = make_settings(channels_enabled=True, smtp_url=mailbox.url)
        alert(catalog, {ADA: hook.url, "bob@example.org": None})
        assert deliver_emails(catalog, settings, clock=lambda: at(1)).sent == 2
        assert deliver(catalog, settings).sent == 1
        assert {message["To"] for message in mailbox.messages} == {ADA, "bob@example.org"}
    [received] = hook.received
    assert received["title"] == "BTC up 5.5% to 105.50 USD on Kraken, 2026-03-01 12:01 UTC"
    assert "coinwatch.test" not in received["message"], "other readers of the channel could use a signed link"
    [row] = rows(catalog)
    assert (row.status, row.sent_at, row.recipient) == ("sent", at(1), ADA)
    assert SECRET not in str([tuple(row) for row in rows(catalog)])


def test_nothing_is_queued_while_channels_are_off(catalog: sa.Engine, hook: Webhook) -> None:
    alert(catalog, {ADA: hook.url}, channels=False)
    assert rows(catalog) == []
    assert len(rows(catalog, "email")) == 1


def test_rejected_message_is_retried_without_delaying_others(
    catalog: sa.Engine, hook: Webhook, settings: Settings
) -> None:
    with webhook() as other:
        hook.status = 503
        alert(catalog, {ADA: hook.url, "bob@example.org": other.url})
        with structlog.testing.capture_logs() as lines:
            result = deliver(catalog, settings)
        assert (result.sent, result.retried, len(other.received)) == (1, 1, 1)
    row = next(row for row in rows(catalog) if row.recipient == ADA)
    assert (row.status, row.last_error[-3:]) == ("queued", "503")
    assert SECRET not in str(lines)
    hook.status = 200
    assert deliver(catalog, settings, minutes=10).sent == 1
    assert len(hook.received) == 1


def test_message_fails_after_the_last_attempt(catalog: sa.Engine, hook: Webhook, settings: Settings) -> None:
    hook.status = 500
    alert(catalog, {ADA: hook.url})
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE outbox SET attempts = :most"), {"most": MAX_ATTEMPTS - 1})
    assert deliver(catalog, settings).failed == 1
    assert rows(catalog)[0].last_error.endswith("500")


def test_message_is_dropped_when_its_channel_is_removed(catalog: sa.Engine, hook: Webhook, settings: Settings) -> None:
    alert(catalog, {ADA: hook.url})
    set_channel(catalog, ADA, None)
    assert deliver(catalog, settings).dropped == 1
    [row] = rows(catalog)
    assert (row.status, row.attempts) == ("dropped", 1)


def test_messages_are_dropped_when_channels_are_switched_off(catalog: sa.Engine, hook: Webhook) -> None:
    alert(catalog, {ADA: hook.url})
    assert deliver(catalog, make_settings()).dropped == 1
    assert "COINWATCH_CHANNELS_ENABLED" in rows(catalog)[0].last_error
    assert hook.received == []


def test_unresponsive_channel_times_out(hook: Webhook) -> None:
    hook.wait = 60
    started = time.monotonic()
    with pytest.raises(TemporaryEmailError, match=r"did not respond within 0\.5 seconds"):
        send(hook.url, "title", "body", seconds=0.5)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("url", ["invalid", f"nosuchservice://{SECRET}", f"tgram://{SECRET}"])
def test_unsupported_url_is_rejected_without_being_shown(catalog: sa.Engine, url: str) -> None:
    with pytest.raises(PermanentEmailError) as rejected:
        send(url, "title", "body")
    assert SECRET not in str(rejected.value)
    with pytest.raises(InvalidRequest) as invalid:
        set_channel(catalog, ADA, url)
    assert SECRET not in str(invalid.value)


def test_messages_wait_while_apprise_is_missing(
    catalog: sa.Engine, hook: Webhook, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert(catalog, {ADA: hook.url})
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigurationError, match="Install"):
        set_channel(catalog, ADA, hook.url)
    assert deliver(catalog, settings).retried == 1
    assert "coinwatch[channels]" in rows(catalog)[0].last_error


def test_unknown_address_cannot_have_a_channel(catalog: sa.Engine, hook: Webhook) -> None:
    with pytest.raises(NotFound, match=r"nobody@example\.org"):
        set_channel(catalog, "nobody@example.org", hook.url)


def test_operator_sets_tests_and_removes_a_channel(
    catalog: sa.Engine, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "get_engine", lambda: catalog)
    monkeypatch.setattr(command, "get_settings", make_settings)
    alert(catalog, {ADA: None})
    runner = typer.testing.CliRunner()
    done = runner.invoke(command.app, [ADA], input=f"{hook.url}\n")
    assert done.exit_code == 0
    assert "COINWATCH_CHANNELS_ENABLED" in done.stderr
    assert SECRET not in done.output
    assert runner.invoke(command.app, [ADA, "--test"]).exit_code == 0
    assert [message["title"] for message in hook.received] == ["coinwatch"]
    assert runner.invoke(command.app, [ADA, "--off"]).exit_code == 0
    without_channel = runner.invoke(command.app, [ADA, "--test"])
    assert isinstance(without_channel.exception, InvalidRequest)
