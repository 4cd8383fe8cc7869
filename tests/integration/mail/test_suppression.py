"""Addresses that reject email are suppressed, and operators can retry, drop and lift suppressions."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
import typer.testing

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscription_changes import pause
from coinwatch.alerts.subscriptions import get_subscription
from coinwatch.alerts.users import get_user_id
from coinwatch.cli.alerts import subscribers as commands
from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.channels import get_channel, set_channel
from coinwatch.notifications.claims import LEASE
from coinwatch.notifications.outbox import drop_emails, list_emails, retry_emails
from coinwatch.notifications.suppression import COMPLAINED, lift_suppressions, suppress_address
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import confirm_one, subscribe

GONE, HERE = "gone@example.org", "ada@example.org"


def cycle(engine: sa.Engine, mailbox: Mailbox, price: float, minute: float) -> None:
    load(engine, quote(price, minute))
    store_alerts(engine, at(minute))
    deliver_emails(engine, make_settings(smtp_url=mailbox.url), clock=lambda: at(minute))


def add_alert(engine: sa.Engine, email: str, percent: float, minutes: float, *, confirmed: bool) -> int:
    rule = Rule(threshold=percent)
    return subscribe(
        engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(minutes), confirmed=confirmed
    ).id


def test_rejected_address_is_suppressed_and_its_subscriptions_are_paused(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.replies = {GONE: "550 5.1.1 no such user"}
    add_alert(catalog, GONE, 5, -1, confirmed=True)
    add_alert(catalog, HERE, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110, 121, 133)):
        cycle(catalog, mailbox, price, minute)
    assert [message["To"] for message in mailbox.messages] == [HERE] * 3
    with transaction(catalog) as connection:
        user = connection.execute(sa.text("SELECT * FROM users WHERE email = :gone"), {"gone": GONE}).one()
        states = connection.execute(sa.text("SELECT status FROM subscriptions ORDER BY id")).scalars().all()
        failed = connection.execute(sa.text("SELECT count(*) FROM outbox WHERE status = 'failed'")).scalar_one()
    assert (user.suppressed_at, user.suppression_reason) == (at(1), "550 5.1.1 no such user")
    assert (list(states), failed) == (["paused", "active"], 1)


def test_confirming_again_lifts_the_suppression(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.replies = {GONE: "550 5.1.1 no such user"}
    add_alert(catalog, GONE, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    mailbox.replies = {}
    confirm_one(catalog, add_alert(catalog, GONE, 7, 2, confirmed=False), at(2.5))
    for minute, price in ((3, 110), (4, 121)):
        cycle(catalog, mailbox, price, minute)
    assert [message["Subject"][:10] for message in mailbox.messages if "BTC up" in message["Subject"]] == ["BTC up 10%"]


def test_temporary_rejection_does_not_suppress_the_address(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.replies = {GONE: "452 4.2.2 mailbox full"}
    add_alert(catalog, GONE, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT suppressed_at FROM users")).scalar_one() is None


def test_slow_sender_renews_its_leases(catalog: sa.Engine, mailbox: Mailbox) -> None:
    for number in range(6):
        add_alert(catalog, f"person{number}@example.org", 5, -1, confirmed=True)
    load(catalog, quote(100, 0), quote(110, 1))
    store_alerts(catalog, at(1))
    ticks = iter(range(10_000))

    def slow_clock() -> datetime:
        """Advances by four seconds per call, so that the batch takes longer than a lease."""
        return at(1) + timedelta(seconds=4 * next(ticks))

    def claimable() -> int:
        moment = at(1) + timedelta(seconds=4 * next(ticks))
        with transaction(catalog) as connection:
            query = sa.text("SELECT count(*) FROM outbox WHERE status = 'queued' AND leased_until <= :now")
            return int(connection.execute(query, {"now": moment}).scalar_one())

    free: list[int] = []
    real = mailbox.handle_DATA

    async def watch(*arguments: object) -> str:
        free.append(claimable())
        return await real(*arguments)  # type: ignore[arg-type]

    mailbox.handle_DATA = watch  # type: ignore[method-assign]
    assert deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=slow_clock).sent == 6
    assert free == [0] * 6
    assert timedelta(seconds=4 * next(ticks)) > LEASE


def test_operators_list_retry_and_drop_emails(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.replies = {GONE: "550 5.1.1 no such user", HERE: "452 4.2.2 mailbox full"}
    for email in (GONE, HERE):
        add_alert(catalog, email, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    rows = {row.recipient: row for row in list_emails(catalog)}
    assert (rows[GONE].status, rows[GONE].last_error) == ("failed", "550 5.1.1 no such user")
    assert [row.recipient for row in list_emails(catalog, status="queued")] == [HERE]
    with pytest.raises(NotFound):
        retry_emails(catalog, [rows[HERE].id], at(2))
    assert drop_emails(catalog, [rows[HERE].id]) == 1
    mailbox.replies = {}
    assert retry_emails(catalog, [], at(2)) == 0, "the address is suppressed"
    assert lift_suppressions(catalog, at(2), email=GONE.upper()) == (1, 1)
    assert retry_emails(catalog, [], at(2)) == 1, "dropped emails are not retried"
    assert deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=lambda: at(2)).sent == 1
    assert {row.status for row in list_emails(catalog)} == {"sent", "dropped"}
    with pytest.raises(NotFound):
        drop_emails(catalog, [rows[GONE].id])


def test_lifting_recent_suppressions_excludes_complaints(
    catalog: sa.Engine, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {"long-gone@example.org": (at(0), "550 5.1.1 no such user"), "angry@example.org": (at(3), COMPLAINED)}
    for email in (GONE, HERE, *others):
        add_alert(catalog, email, 5, -1, confirmed=True)
    own = add_alert(catalog, HERE, 4, -1, confirmed=True)
    pause(catalog, get_user_id(catalog, HERE), own)
    for email, (moment, reason) in others.items():
        with transaction(catalog) as connection:
            suppress_address(connection, email, moment, reason)
    mailbox.replies = {GONE: "550 5.1.1 no such user", HERE: "550 5.1.1 no such user"}
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    mailbox.replies = {}
    monkeypatch.setattr(commands, "get_engine", lambda: catalog)
    monkeypatch.setattr(commands, "utc_now", lambda: at(4))
    assert (
        typer.testing.CliRunner().invoke(commands.app, ["subscriber", "lift-suppression", "--last", "3m"]).exit_code
        == 0
    )
    assert retry_emails(catalog, [], at(4)) == 2
    cycle(catalog, mailbox, 130, 5)
    assert sorted(message["To"] for message in mailbox.messages) == [HERE, HERE, GONE, GONE]
    with pytest.raises(NotFound):
        lift_suppressions(catalog, at(6), since=at(0.5))
    assert lift_suppressions(catalog, at(6), email="angry@example.org") == (1, 1), (
        "operators can lift a complaint by address"
    )
    assert get_subscription(catalog, own).status == "paused", "still paused by its user"


def test_any_spelling_of_an_internationalized_domain_is_one_address(catalog: sa.Engine, mailbox: Mailbox) -> None:
    stored, typed = "ada@xn--mller-kva.example", "Ada@MÜLLER.example"
    mailbox.replies = {stored: "550 5.1.1 no such user"}
    add_alert(catalog, "ada@müller.example", 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    [row] = list_emails(catalog)
    assert (row.recipient, row.status) == (stored, "failed")
    set_channel(catalog, typed, "json://127.0.0.1:9/")
    assert get_channel(catalog, typed) == "json://127.0.0.1:9/"
    assert lift_suppressions(catalog, at(2), email=typed) == (1, 1)
    with transaction(catalog) as connection:
        assert suppress_address(connection, stored, at(3), "550 5.1.1 no such user") == 1
