"""An address that takes no mail gets none any more, and a living sender keeps what it claimed."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
import typer.testing

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscription_changes import pause
from coinwatch.alerts.subscriptions import confirm, get_subscription
from coinwatch.alerts.users import get_user_id
from coinwatch.cli import subscribers as commands
from coinwatch.database import transaction
from coinwatch.errors import NotFound
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications.claims import LEASE
from coinwatch.notifications.outbox import drop_emails, list_emails, retry_emails
from coinwatch.notifications.suppression import COMPLAINED, lift_suppressions, suppress_address
from coinwatch.pipeline import store_alerts
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.smtp_server import Mailbox
from tests.support.subscriptions import subscribe

GONE, HERE = "gone@example.org", "ada@example.org"


def cycle(engine: sa.Engine, mailbox: Mailbox, price: float, minute: float) -> None:
    load(engine, quote(price, minute))
    store_alerts(engine, at(minute))
    deliver_emails(engine, make_settings(smtp_url=mailbox.url), clock=lambda: at(minute))


def wish(engine: sa.Engine, email: str, percent: float, minutes: float, *, confirmed: bool) -> int:
    rule = Rule(threshold=percent)
    return subscribe(
        engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(minutes), confirmed=confirmed
    ).id


def test_a_refused_address_is_disabled_and_its_rules_rest(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.answers = {GONE: "550 5.1.1 no such user"}
    wish(catalog, GONE, 5, -1, confirmed=True)
    wish(catalog, HERE, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110, 121, 133)):
        cycle(catalog, mailbox, price, minute)
    assert [message["To"] for message in mailbox.messages] == [HERE] * 3
    with transaction(catalog) as connection:
        user = connection.execute(sa.text("SELECT * FROM users WHERE email = :gone"), {"gone": GONE}).one()
        states = connection.execute(sa.text("SELECT status FROM subscriptions ORDER BY id")).scalars().all()
        failed = connection.execute(sa.text("SELECT count(*) FROM outbox WHERE status = 'failed'")).scalar_one()
    assert (user.suppressed_at, user.suppression_reason) == (at(1), "550 5.1.1 no such user")
    assert (list(states), failed) == (["paused", "active"], 1)


def test_confirming_anew_wakes_the_address(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.answers = {GONE: "550 5.1.1 no such user"}
    wish(catalog, GONE, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    mailbox.answers = {}
    confirm(catalog, wish(catalog, GONE, 7, 2, confirmed=False), at(2.5))
    for minute, price in ((3, 110), (4, 121)):
        cycle(catalog, mailbox, price, minute)
    assert [message["Subject"][:7] for message in mailbox.messages if "BTC +" in message["Subject"]] == ["BTC +10"]


def test_a_temporary_refusal_disables_nobody(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.answers = {GONE: "452 4.2.2 mailbox full"}
    wish(catalog, GONE, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT suppressed_at FROM users")).scalar_one() is None


def test_a_living_sender_renews_its_lease(catalog: sa.Engine, mailbox: Mailbox) -> None:
    for number in range(6):
        wish(catalog, f"person{number}@example.org", 5, -1, confirmed=True)
    load(catalog, quote(100, 0), quote(110, 1))
    store_alerts(catalog, at(1))
    ticks = iter(range(10_000))

    def slow() -> datetime:
        """Every look at the clock takes four seconds: the batch takes longer than a lease."""
        return at(1) + timedelta(seconds=4 * next(ticks))

    def another_sender() -> int:
        moment = at(1) + timedelta(seconds=4 * next(ticks))
        with transaction(catalog) as connection:
            query = sa.text("SELECT count(*) FROM outbox WHERE status = 'queued' AND leased_until <= :now")
            return int(connection.execute(query, {"now": moment}).scalar_one())

    taken: list[int] = []
    real = mailbox.handle_DATA

    async def watch(*arguments: object) -> str:
        taken.append(another_sender())
        return await real(*arguments)  # type: ignore[arg-type]

    mailbox.handle_DATA = watch  # type: ignore[method-assign]
    assert deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=slow).sent == 6
    assert taken == [0] * 6, "nothing of it was there for others to take"
    assert timedelta(seconds=4 * next(ticks)) > LEASE


def test_operators_see_retry_and_drop_mails(catalog: sa.Engine, mailbox: Mailbox) -> None:
    mailbox.answers = {GONE: "550 5.1.1 no such user", HERE: "452 4.2.2 mailbox full"}
    for email in (GONE, HERE):
        wish(catalog, email, 5, -1, confirmed=True)
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    rows = {row.recipient: row for row in list_emails(catalog)}
    assert (rows[GONE].status, rows[GONE].last_error) == ("failed", "550 5.1.1 no such user")
    assert [row.recipient for row in list_emails(catalog, status="queued")] == [HERE]
    with pytest.raises(NotFound):
        retry_emails(catalog, [rows[HERE].id], at(2))
    assert drop_emails(catalog, [rows[HERE].id]) == 1
    mailbox.answers = {}
    assert retry_emails(catalog, [], at(2)) == 0, "nothing goes to a refused address"
    assert lift_suppressions(catalog, at(2), email=GONE.upper()) == (1, 1)
    assert retry_emails(catalog, [], at(2)) == 1, "all that failed; what was dropped stays so"
    assert deliver_emails(catalog, make_settings(smtp_url=mailbox.url), clock=lambda: at(2)).sent == 1
    assert {row.status for row in list_emails(catalog)} == {"sent", "dropped"}
    with pytest.raises(NotFound):
        drop_emails(catalog, [rows[GONE].id])


def test_everybody_whom_a_broken_server_refused_is_woken_but_not_who_complained(
    catalog: sa.Engine, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {"long-gone@example.org": (at(0), "550 5.1.1 no such user"), "angry@example.org": (at(3), COMPLAINED)}
    for email in (GONE, HERE, *others):
        wish(catalog, email, 5, -1, confirmed=True)
    own = wish(catalog, HERE, 4, -1, confirmed=True)
    pause(catalog, get_user_id(catalog, HERE), own)
    for email, (moment, reason) in others.items():
        with transaction(catalog) as connection:
            suppress_address(connection, email, moment, reason)
    mailbox.answers = {GONE: "550 5.1.1 no such user", HERE: "550 5.1.1 no such user"}
    for minute, price in enumerate((100, 110)):
        cycle(catalog, mailbox, price, minute)
    mailbox.answers = {}
    monkeypatch.setattr(commands, "get_engine", lambda: catalog)
    monkeypatch.setattr(commands, "utc_now", lambda: at(4))
    said = typer.testing.CliRunner().invoke(commands.app, ["subscriber", "lift-suppression", "--last", "3m"]).stdout
    assert "Suppression lifted for 2 addresses; 2 subscriptions resumed." in said
    assert retry_emails(catalog, [], at(4)) == 2
    cycle(catalog, mailbox, 130, 5)
    assert sorted(message["To"] for message in mailbox.messages) == [HERE, HERE, GONE, GONE]
    with pytest.raises(NotFound, match="No such address is refused"):
        lift_suppressions(catalog, at(6), since=at(0.5))
    assert lift_suppressions(catalog, at(6), email="angry@example.org") == (1, 1), "by name, an operator may"
    assert get_subscription(catalog, own).status == "paused", "by its person, who did not ask for it again"
