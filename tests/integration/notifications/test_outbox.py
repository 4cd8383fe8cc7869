"""What operators see of the outbox: what is waiting and why, what was sent, and which addresses are suppressed."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
import typer.testing

from coinwatch.alerts.rules import Rule
from coinwatch.cli.alerts import outbox as outbox_commands
from coinwatch.cli.main import app
from coinwatch.cli.operations import status as status_command
from coinwatch.database import transaction
from coinwatch.mail.delivery import deliver_emails
from coinwatch.notifications import outbox
from coinwatch.notifications.outbox import delete_old_emails, get_outbox_status
from coinwatch.pipeline import store_alerts
from tests.conftest import Database
from tests.support.plans import explain_engine
from tests.support.ports import free_port
from tests.support.quotes import at, load, quote
from tests.support.settings import make_settings
from tests.support.subscriptions import subscribe

USERS: dict[str, dict[str, object]] = {
    "ada@example.org": {},
    "asleep@example.org": {"quiet_from": "00:00", "quiet_until": "23:59"},
    "weekly@example.org": {"digest": "weekly", "digest_sent_at": at(0)},
    "gone@example.org": {"suppressed_at": at(0), "suppression_reason": "550 no such user"},
}


@pytest.fixture
def filled(catalog: sa.Engine) -> sa.Engine:
    """Four users with one alert each, and emails in every state."""
    for email, preferences in USERS.items():
        rule = Rule(threshold=5)
        subscribe(catalog, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
        if preferences:
            values = ", ".join(f"{name} = :{name}" for name in preferences)
            with transaction(catalog) as connection:
                connection.execute(
                    sa.text(f"UPDATE users SET {values} WHERE email = :email"), {"email": email, **preferences}
                )
    load(catalog, quote(100.0, 0), quote(105.5, 1))
    store_alerts(catalog, at(1))
    rows = [("sent", -10), ("sent", -20), ("sent", -3000), ("failed", -30), ("failed", -3000), ("dropped", -5)]
    with transaction(catalog) as connection:
        for number, (status, minute) in enumerate(rows):
            connection.execute(
                sa.text(
                    "INSERT INTO outbox "
                    "(dedupe_key, user_id, recipient, kind, payload, status, next_attempt_at, created_at, sent_at) "
                    "SELECT CAST(:key AS text), min(id), 'ada@example.org', 'alerts', '{}', CAST(:status AS text), "
                    ":at, :at, "
                    "CASE WHEN CAST(:status AS text) = 'sent' THEN CAST(:at AS timestamptz) END FROM users"
                ),
                {"key": f"old {number}", "status": status, "at": at(minute)},
            )
    return catalog


def status_text(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, emails_per_day: int = 0) -> str:
    monkeypatch.setattr(status_command, "get_engine", lambda: engine)
    monkeypatch.setattr(status_command, "get_settings", lambda: make_settings(emails_per_day=emails_per_day))
    monkeypatch.setattr(status_command, "utc_now", lambda: at(5))
    return typer.testing.CliRunner().invoke(app, ["status"]).stdout


def test_status_counts_emails_and_alerts(filled: sa.Engine) -> None:
    status = get_outbox_status(filled, at(2))
    assert (status.queued, status.oldest_queued_at, status.awaiting_retry) == (1, at(1), 0)
    assert (status.sent_24h, status.failed_24h, status.held_by_limit) == (2, 1, 0)
    assert (status.held_alerts, status.held_users) == (3, {"quiet_hours": 1, "digest": 1, "suppressed": 1})
    assert status.suppressed_addresses == 1


@pytest.mark.parametrize(("limit", "held"), [(0, 0), (3, 0), (2, 1)])
def test_reached_daily_limit_holds_emails(filled: sa.Engine, limit: int, held: int) -> None:
    assert get_outbox_status(filled, at(2), limit).held_by_limit == held


def test_status_command_shows_the_outbox(filled: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = dict(re.findall(r"^(\S.*?) {2,}(.*)$", status_text(filled, monkeypatch, emails_per_day=2), re.MULTILINE))
    assert lines["alerts in 24 h"] == "4 change_since_last"
    assert lines["held alerts"].startswith("3; ")
    assert lines["emails in 24 h"].startswith("2 sent, 1 failed")
    assert lines["queued emails"].startswith("1, the oldest queued 4 min ago; 1 held by the daily limit")
    assert lines["suppressed addresses"].startswith("1")


def test_status_shows_why_emails_wait_and_when_they_are_retried(
    filled: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    deliver_emails(filled, make_settings(smtp_url=f"smtp://127.0.0.1:{port}?tls=none"), clock=lambda: at(2))
    error = get_outbox_status(filled, at(2)).most_common_error
    assert error is not None
    assert f"127.0.0.1:{port}" in error
    assert error in status_text(filled, monkeypatch)

    with transaction(filled) as connection:
        connection.execute(sa.text("UPDATE outbox SET channel = 'apprise' WHERE dedupe_key = 'old 3'"))
    monkeypatch.setattr(outbox_commands, "get_engine", lambda: filled)
    monkeypatch.setattr(outbox_commands, "utc_now", lambda: at(2))
    shown = typer.testing.CliRunner().invoke(outbox_commands.app, ["outbox", "show"]).stdout
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=7)[1:] for line in shown.splitlines()[1:]]
    assert ["alerts", "ada@example.org", "queued", "in 30 s", "0", "1 min ago", error] in rows
    assert ["alerts by apprise", "ada@example.org", "failed", "32 min ago", "0", "32 min ago", "-"] in rows
    assert ["alerts", "ada@example.org", "sent", "12 min ago", "0", "12 min ago", "-"] in rows


def test_most_common_error_is_shown_without_addresses(filled: sa.Engine) -> None:
    with transaction(filled) as connection:
        greylisted = "UPDATE outbox SET last_error = '450 4.2.0 <ada@example.org>: greylisted' WHERE status = 'queued'"
        connection.execute(sa.text(greylisted))
    assert get_outbox_status(filled, at(2)).most_common_error == "450 4.2.0 <…>: greylisted"


def test_status_does_not_scan_sent_emails(filled: sa.Engine, database: Database) -> None:
    """With 20,000 emails of last month, every count comes from an index of the few rows it counts."""
    with transaction(filled) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO outbox "
                "(dedupe_key, user_id, recipient, kind, payload, status, next_attempt_at, created_at, sent_at) "
                "SELECT 'month ' || n, (SELECT min(id) FROM users), 'ada@example.org', 'alerts', '{}', 'sent', :then, "
                ":then, :then "
                "FROM generate_series(1, 20000) n"
            ),
            {"then": at(0) - timedelta(days=30)},
        )
    with filled.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE outbox"))
    with explain_engine(database.url("admin"), database.url("app")) as (engine, plans_of):
        plans = plans_of(lambda: get_outbox_status(engine, at(2), 2))
    assert "outbox" in plans.executed
    assert "outbox" not in plans.sequentially_scanned


def test_deleting_old_emails_keeps_their_alerts_notified(filled: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    with transaction(filled) as connection:
        connection.execute(
            sa.text("UPDATE outbox SET status = 'sent', sent_at = :now WHERE status = 'queued'"), {"now": at(1)}
        )
    assert delete_old_emails(filled, make_settings(outbox_retention_days=0), at(1) + timedelta(days=5000)) == 0
    assert delete_old_emails(filled, make_settings(outbox_retention_days=2), at(0)) == 2, "one sent and one failed"
    assert delete_old_emails(filled, make_settings(outbox_retention_days=90), at(2) + timedelta(days=90)) == 5
    with transaction(filled) as connection:
        rows = connection.execute(sa.text("SELECT state, outbox_id FROM alerts ORDER BY state DESC")).all()
    assert rows == [("notified", None), ("held", None), ("held", None), ("held", None)]
    result = store_alerts(filled, at(2) + timedelta(days=90))
    assert result.emails == 1, "the digest, and nothing a second time"


def test_queued_emails_are_never_deleted(filled: sa.Engine) -> None:
    delete_old_emails(filled, make_settings(outbox_retention_days=1), at(0) + timedelta(days=365))
    assert [row.status for row in outbox.list_emails(filled)] == ["queued"]
