"""Emails that a visitor requests are sent right after the response; the outbox is the fallback."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from coinwatch.mail.delivery import deliver_emails, deliver_requested_emails
from coinwatch.notifications.outbox import list_emails
from coinwatch.settings import Settings
from coinwatch.web.app import create_app
from coinwatch.web.middleware.identification import identify_by_token
from tests.support.smtp_server import Mailbox
from tests.web.seed import NOW, web_settings
from tests.web.subscribing import ADA, add_subscription

pytestmark = pytest.mark.usefixtures("market")
REQUESTS = {
    "form": lambda client: client.post("/subscribe", data={"email": ADA, "coin": "BTC", "threshold_percent": "2.5"}),
    "API": lambda client: client.post(
        "/api/v1/subscriptions", json={"email": ADA, "coin": "BTC", "threshold_percent": 2.5}
    ),
    "old API": lambda client: client.post("/SubscribeCoin", json={"email": ADA, "coin_name": "BTC", "percentage": 2.5}),
    "link": lambda client: client.post("/sign-in", data={"email": ADA}),
}


@pytest.fixture
def mail_settings(mailbox: Mailbox) -> Settings:
    return web_settings(smtp_url=mailbox.url)


def client_of(engine: sa.Engine, settings: Settings) -> TestClient:
    app: FastAPI = create_app(
        lambda: engine,
        lambda: settings,
        identify=identify_by_token(lambda: settings),
        inside_airflow=False,
        clock=lambda: NOW,
    )
    return TestClient(app, base_url="http://coinwatch.test")


@pytest.mark.parametrize("way", list(REQUESTS))
def test_requested_email_is_sent_at_once_and_only_once(
    engine: sa.Engine, mail_settings: Settings, mailbox: Mailbox, way: str
) -> None:
    if way == "link":
        add_subscription(engine)
    send: Callable[[TestClient], object] = REQUESTS[way]
    send(client_of(engine, mail_settings))
    [message] = mailbox.messages
    assert message["To"] == ADA
    assert [row.status for row in list_emails(engine)] == ["sent"]
    deliver_emails(engine, mail_settings, clock=lambda: NOW + timedelta(minutes=1))
    assert len(mailbox.messages) == 1


def test_confirmation_email_names_the_rule_in_its_subject(
    engine: sa.Engine, mail_settings: Settings, mailbox: Mailbox
) -> None:
    client = client_of(engine, mail_settings)
    form = {"email": ADA, "coin": "BTC", "exchange": "kraken", "kind": "crosses", "direction": "up"}
    client.post("/subscribe", data=form | {"level": "45000"})
    client.post("/subscribe", data=form | {"level": "50000"})
    assert [message["Subject"].strip() for message in mailbox.messages] == [
        f"Confirm your BTC/USD alert on Kraken: when the price rises to {level} USD"
        for level in ("45,000.00", "50,000.00")
    ]


@pytest.mark.parametrize("fault", ["unavailable", "rejected", "misconfigured"])
def test_failure_to_send_at_once_is_harmless(
    engine: sa.Engine, mail_settings: Settings, mailbox: Mailbox, fault: str
) -> None:
    expected = REQUESTS["form"](client_of(engine, mail_settings))
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM users"))
    settings = mail_settings
    if fault == "rejected":
        mailbox.replies = {ADA: "451 4.3.0 try again later"}
    else:
        url = "smtp://127.0.0.1:1?tls=none" if fault == "unavailable" else "nonsense"
        settings = web_settings(smtp_url=url)
    response = REQUESTS["form"](client_of(engine, settings))
    assert (response.status_code, response.text) == (expected.status_code, expected.text)
    assert [row.status for row in list_emails(engine)] == ["queued"]
    mailbox.replies = {}
    deliver_emails(engine, mail_settings, clock=lambda: NOW + timedelta(minutes=1))
    assert [row.status for row in list_emails(engine)] == ["sent"]


def test_web_process_and_cycle_never_send_the_same_email(
    engine: sa.Engine, mail_settings: Settings, mailbox: Mailbox
) -> None:
    """The cycle delivers while the web process is in the middle of sending."""
    add_subscription(engine, confirmed=False)
    arrived, finish = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        arrived.set()
        finish.wait(20)

    mailbox.on_message = wait
    web = threading.Thread(target=deliver_requested_emails, args=(engine, mail_settings, ADA))
    web.start()
    assert arrived.wait(20)
    cycle = threading.Thread(target=deliver_emails, args=(engine, mail_settings))
    cycle.start()
    cycle.join(1)
    finish.set()
    cycle.join(40)
    web.join(40)
    assert len(mailbox.messages) == 1
    assert [(row.status, row.attempts) for row in list_emails(engine)] == [("sent", 1)]


def test_nothing_else_is_sent_by_the_web_process(engine: sa.Engine, mail_settings: Settings, mailbox: Mailbox) -> None:
    add_subscription(engine, "bob@example.org", confirmed=False)
    REQUESTS["form"](client_of(engine, mail_settings))
    assert [message["To"] for message in mailbox.messages] == [ADA]
