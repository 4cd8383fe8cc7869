"""Exporting and erasing a user's data, also while the evaluation and senders are running."""

import threading
from collections.abc import Callable
from datetime import time

import pytest
import sqlalchemy as sa

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts.users import find_user_id
from coinwatch.database import Lock, acquire_lock, create_engine, statement, transaction
from coinwatch.errors import DatabaseError, NotFound
from coinwatch.notifications.data_export import export
from coinwatch.notifications.erasure import erase
from coinwatch.notifications.preferences import Preferences, set_preferences
from coinwatch.notifications.requested_emails import request_manage_link
from coinwatch.notifications.subscribers import get_subscriber
from coinwatch.pipeline import store_alerts
from tests.conftest import Database
from tests.support.quotes import at, load, quote
from tests.support.smtp_server import Mailbox
from tests.support.users import ADA, BOB, add, alert_minutes, columns_containing, deliver, feed, get_user


def fill(engine: sa.Engine) -> int:
    """A user with rows in every table."""
    add(engine), add(engine, threshold=6.0, confirmed=False)
    me = get_user(engine).id
    feed(engine, 100, 110)
    request_manage_link(engine, ADA, at(1))
    set_preferences(engine, me, Preferences("Europe/Berlin", time(22), time(7), "daily"), at(1))
    feed(engine, 121, first=2)
    with transaction(engine) as connection:
        secret = sa.text("UPDATE users SET channel_url = 'tgram://secret/1', suppression_reason = 'no ada@example.org'")
        connection.execute(secret)
        connection.execute(sa.text("UPDATE outbox SET last_error = 'ada@example.org: try later'"))
    return me


def test_erasing_removes_the_user_from_every_table(catalog: sa.Engine) -> None:
    me = fill(catalog)
    add(catalog, BOB)
    assert columns_containing(catalog, "ada@example") >= {"users.email", "outbox.recipient", "outbox.last_error"}
    erase(catalog, me)
    assert columns_containing(catalog, "ada@example") == set()
    with transaction(catalog) as connection:
        counts = {
            table: connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("users", "subscriptions", "alerts", "outbox", "held_users")
        }
    assert counts == {"users": 1, "subscriptions": 1, "alerts": 0, "outbox": 0, "held_users": 0}
    for gone in (erase, get_subscriber, changes.unsubscribe_all):
        with pytest.raises(NotFound, match="erased"):
            gone(catalog, me)
    assert find_user_id(catalog, ADA) is None
    add(catalog)
    assert alert_minutes(catalog) == [], "subscribing again starts from scratch"


def test_export_contains_everything_but_secrets(catalog: sa.Engine) -> None:
    me = fill(catalog)
    data = export(catalog, me, at(9))
    first, second = data["subscriptions"]
    assert (data["email"], data["time_zone"], data["digest"]) == (ADA, "Europe/Berlin", "daily")
    assert data["quiet_hours"] == {"from": "22:00:00", "until": "07:00:00"}
    assert data["exported_at"] == "2026-03-01T12:09:00Z"
    assert data["alerts_held"]["reason"] == "digest"
    assert (first["condition"], first["status"]) == (
        "the price moves by 5% or more between two updates",
        "active",
    )
    assert [(alert["observed_at"], alert["value"], alert["email_status"]) for alert in first["alerts"]] == [
        ("2026-03-01T12:01:00Z", 110, "queued"),
        ("2026-03-01T12:02:00Z", 121, None),
    ]
    assert (second["status"], second["alerts"]) == ("pending", [])
    assert [email["kind"] for email in data["emails"]] == ["confirmation", "alerts", "manage"]
    assert data["other_channel"] == "tgram"
    assert "secret" not in str(data)


def test_every_column_is_exported_or_explicitly_excluded(catalog: sa.Engine) -> None:
    """Add a new column to the export or to this list."""
    left_out = {
        "users": {"id", "link_key", "link_version"},
        "subscriptions": {
            "user_id",
            "instrument_id",
            "armed",
            "active_from",
            "cooldown_until",
            "paused_by_suppression",
            "step_at",
            "step_value",
            "step_rises",
        },
        "alerts": {"subscription_id", "outbox_id", "created_at"},
        "outbox": {
            "user_id",
            "recipient",
            "dedupe_key",
            "lease",
            "leased_until",
        },
        "held_users": {"user_id"},
        "sessions": {"id", "token_hash", "user_id"},
        "webhooks": {"user_id"},
    }
    sources = {
        "users": "notifications/subscribers/select_subscriber",
        "held_users": "notifications/subscribers/select_subscriber",
        "subscriptions": "alerts/subscriptions/select_subscriptions",
        "alerts": "notifications/subscribers/select_alerts",
        "outbox": "notifications/subscribers/select_emails",
        "sessions": "alerts/sessions/select_sessions",
        "webhooks": "notifications/webhooks/select_webhook",
    }
    query = sa.text("SELECT column_name FROM information_schema.columns WHERE table_name = :table")
    with transaction(catalog) as connection:
        for table, source in sources.items():
            columns = set(connection.execute(query, {"table": table}).scalars()) - left_out[table]
            text = str(statement(source))
            assert {name for name in columns if name not in text} == set(), table


def test_erasing_waits_for_a_running_evaluation(catalog: sa.Engine, database: Database) -> None:
    """The evaluation has updated the user's subscription and queues an email while the user is being erased."""
    number = add(catalog)
    me, other = get_user(catalog).id, create_engine(database.url())
    eraser = threading.Thread(target=erase, args=(other, me), daemon=True)
    with transaction(catalog) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        connection.execute(sa.text("UPDATE subscriptions SET armed = false WHERE id = :id"), {"id": number})
        eraser.start()
        until = sa.text("SELECT count(*) FROM pg_locks WHERE relation = 'lock_evaluation'::regclass AND NOT granted")
        while not connection.execute(until).scalar_one():
            threading.Event().wait(0.01)
        parameters = {"user_id": me, "recipient": ADA, "payload": "{}", "now": at(0)}
        connection.execute(statement("notifications/outbox/queue_manage_link"), parameters)
        assert eraser.is_alive()
    eraser.join(timeout=30)
    assert not eraser.is_alive()
    assert columns_containing(catalog, ADA) == set()
    other.dispose()


def test_erasing_fails_if_an_evaluation_takes_too_long(
    catalog: sa.Engine, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(catalog)
    me, other = get_user(catalog).id, create_engine(database.url())
    monkeypatch.setattr("coinwatch.alerts.users.LOCK_TIMEOUT_MILLISECONDS", 50)
    with transaction(catalog) as connection:
        acquire_lock(connection, Lock.EVALUATION)
        with pytest.raises(DatabaseError, match="lock timeout"):
            erase(other, me)
    erase(other, me)
    other.dispose()


def test_erasing_locks_all_emails_or_none(catalog: sa.Engine, database: Database) -> None:
    """A sender that holds the newer email can still take the older one; then the user is erased."""
    add(catalog)
    me, other = get_user(catalog).id, create_engine(database.url())
    for hours in range(2):
        request_manage_link(catalog, ADA, at(120 * hours))
    take = sa.text("UPDATE outbox SET attempts = attempts + 1 WHERE id = (SELECT max(id) - :before FROM outbox)")
    eraser = threading.Thread(target=erase, args=(other, me), daemon=True)
    with transaction(catalog) as sender:
        sender.execute(take, {"before": 0})
        eraser.start()
        busy = sa.text("SELECT count(*) FROM pg_locks WHERE relation = 'lock_evaluation'::regclass AND granted")
        while not sender.execute(busy).scalar_one():
            threading.Event().wait(0.01)
        threading.Event().wait(0.1)
        assert sender.execute(take, {"before": 1}).rowcount == 1
    eraser.join(timeout=30)
    assert not eraser.is_alive()
    assert columns_containing(catalog, ADA) == set()
    other.dispose()


def test_users_can_be_erased_while_the_pipeline_runs(catalog: sa.Engine, database: Database, mailbox: Mailbox) -> None:
    """Evaluation, senders and users at the same time: no run fails, and nothing is left of the erased users."""
    users = 40
    emails = [f"p{number}@leaving.example" for number in range(users)]
    for email in emails:
        for percent in (1.0, 2.0, 3.0):
            add(catalog, email, threshold=percent)
    load(catalog, quote(100, 0))
    store_alerts(catalog, at(0))
    minutes = iter(range(1, 100_000))
    stop, errors = threading.Event(), []

    def repeat(work: Callable[[sa.Engine], None]) -> threading.Thread:
        def run() -> None:
            engine = create_engine(database.url())
            try:
                while not stop.is_set():
                    work(engine)
            except Exception as error:  # noqa: BLE001
                errors.append(error)
            finally:
                engine.dispose()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def evaluate(engine: sa.Engine) -> None:
        minute = next(minutes)
        load(engine, quote(100 if minute % 2 else 110, minute))
        store_alerts(engine, at(minute))

    threads = [repeat(evaluate), *(repeat(lambda engine: deliver(engine, mailbox, at(100_000))) for _ in range(2))]
    try:
        for email in emails:
            me = get_user(catalog, email)
            changes.pause(catalog, me.id, me.subscriptions[0].id)
            changes.resume_all(catalog, me.id, at(next(minutes)))
            changes.delete(catalog, me.id, me.subscriptions[1].id)
            erase(catalog, me.id)
    finally:
        stop.set()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert errors == []
    assert columns_containing(catalog, "leaving.example") == set()
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM alerts")).scalar_one() == 0
    assert mailbox.messages, "emails were sent in the meantime"
