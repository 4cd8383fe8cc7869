"""When users are notified: immediately, after quiet hours, with the digest, within the daily limit; and always once."""

from datetime import datetime, time, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import unsubscribe
from coinwatch.database import create_engine, transaction
from coinwatch.pipeline import store_alerts
from coinwatch.prices.catalog import set_exchange_enabled
from coinwatch.prices.ingest.index import compute_index
from coinwatch.settings import Settings
from tests.conftest import Database
from tests.support.quotes import at, load, quote
from tests.support.subscribers import DAY, HOUR, add, cycles, run, utc
from tests.support.subscriptions import subscribe


def test_alerts_in_quiet_hours_share_an_email_when_they_end(catalog: sa.Engine) -> None:
    ada = add(catalog, quiet_from=time(13), quiet_until=time(13, 30))
    for minute, price in enumerate((100.0, 106.0, 113.0)):
        load(catalog, quote(price, 58 + minute))
        run(catalog, at(58 + minute))
    first, *_ = ada.notifications()
    assert first[0] == at(59)
    assert run(catalog, at(89)).emails == 0
    assert run(catalog, at(90)).emails == 1, "13:30, although nothing fired"
    [immediate, held] = ada.emails()
    assert (immediate.payload["held"], held.payload["held"]) == (None, "quiet_hours")
    assert [alert["observed_at"] for alert in held.payload["alerts"]] == ["2026-03-01T13:00:00+00:00"]
    assert run(catalog, at(91)).emails == 0


@pytest.mark.parametrize(
    ("zone", "quiet_from", "quiet_until", "fired", "notified"),
    [
        ("UTC", "22:00", "07:00", "2026-03-02 21:59", "2026-03-02 22:00"),
        ("UTC", "22:00", "07:00", "2026-03-02 22:00", "2026-03-03 07:00"),
        ("UTC", "22:00", "07:00", "2026-03-03 06:59", "2026-03-03 07:00"),
        ("UTC", "22:00", "22:00", "2026-03-03 06:59", "2026-03-03 07:00"),
        ("Asia/Kolkata", "22:00", "07:00", "2026-03-02 16:30", "2026-03-03 01:30"),
        ("Australia/Lord_Howe", "00:00", "06:15", "2026-04-04 13:30", "2026-04-04 19:45"),
        ("Europe/Berlin", "22:00", "07:00", "2026-03-28 23:00", "2026-03-29 05:00"),
        ("Europe/Berlin", "22:00", "02:30", "2026-03-28 23:00", "2026-03-29 01:00"),
        ("Europe/Berlin", "22:00", "07:00", "2026-10-24 23:00", "2026-10-25 06:00"),
        ("Europe/Berlin", "22:00", "02:30", "2026-10-24 23:00", "2026-10-25 00:30"),
        ("Not/A_Zone", "22:00", "07:00", "2026-03-02 22:00", "2026-03-03 07:00"),
    ],
    ids=[
        "before", "first minute", "last minute", "equal times", "half-hour offset", "half-hour DST shift", "spring",
        "end skipped in spring", "autumn", "end repeated in autumn", "unknown zone",
    ],
)  # fmt: skip
def test_quiet_hours_are_in_the_users_time_zone(
    catalog: sa.Engine, zone: str, quiet_from: str, quiet_until: str, fired: str, notified: str
) -> None:
    ada = add(
        catalog, timezone=zone, quiet_from=time.fromisoformat(quiet_from), quiet_until=time.fromisoformat(quiet_until)
    )
    ada.alert(utc(fired))
    for now in cycles(utc(fired), utc(notified) + 2 * HOUR):
        run(catalog, now)
    [(moment, _)] = ada.notifications()
    if fired.endswith("21:59") or quiet_from == quiet_until:
        assert moment == utc(fired), "not during quiet hours"
    else:
        assert timedelta(0) <= moment - utc(notified) < timedelta(minutes=15)


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        ("daily", [("2026-03-03 13:00", 2), ("2026-03-04 13:00", 1), ("2026-03-09 12:00", 1)]),
        ("weekly", [("2026-03-09 12:00", 4)]),
    ],
)
def test_digest_is_sent_once_per_period_at_8_local_time(
    catalog: sa.Engine, digest: str, expected: list[tuple[str, int]]
) -> None:
    """In New York, where daylight saving time starts on Sunday, 8 March."""
    ada = add(catalog, timezone="America/New_York", digest=digest, digest_sent_at=utc("2026-03-02 13:30"))
    fired = {utc("2026-03-02 14:00"), utc("2026-03-03 13:00"), utc("2026-03-03 13:15"), utc("2026-03-09 11:45")}
    for now in cycles(utc("2026-03-02 14:00"), utc("2026-03-10 18:00")):
        if now in fired:
            ada.alert(now)
        run(catalog, now)
        run(catalog, now)
    emails = ada.emails()
    assert [(row.created_at, len(row.payload["alerts"])) for row in emails] == [(utc(when), n) for when, n in expected]
    assert {(row.kind, row.payload["held"], row.payload["period"]) for row in emails} == {("digest", "digest", digest)}


def test_expiry_email_waits_for_the_end_of_quiet_hours(catalog: sa.Engine) -> None:
    ada, bob = add(catalog, quiet_from=time(22), quiet_until=time(7)), add(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE subscriptions SET expires_at = :at"), {"at": utc("2026-03-02 23:00")})
    run(catalog, utc("2026-03-02 23:03"))
    due = [user.emails()[0].next_attempt_at for user in (ada, bob)]
    assert due == [utc("2026-03-03 07:00"), utc("2026-03-02 23:03")]


def test_delayed_digest_is_sent_once(catalog: sa.Engine) -> None:
    ada = add(catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"))
    first = ada.alert(utc("2026-03-02 20:00"))
    run(catalog, utc("2026-03-02 20:00"))
    second = ada.alert(utc("2026-03-03 14:00"))
    run(catalog, utc("2026-03-03 14:00"))
    third = ada.alert(utc("2026-03-03 14:03"))
    for now in cycles(utc("2026-03-03 14:03"), utc("2026-03-04 10:00")):
        run(catalog, now)
    assert ada.notifications() == [(utc("2026-03-03 14:00"), [first, second]), (utc("2026-03-04 08:03"), [third])]


def test_digest_due_in_quiet_hours_is_sent_when_they_end(catalog: sa.Engine) -> None:
    ada = add(
        catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"), quiet_from=time(23), quiet_until=time(10)
    )
    ada.alert(utc("2026-03-02 20:00"))
    for now in cycles(utc("2026-03-02 20:00"), utc("2026-03-03 12:00")):
        run(catalog, now)
    assert [moment for moment, _ in ada.notifications()] == [utc("2026-03-03 10:00")]


def test_alerts_beyond_the_daily_limit_are_held_and_sent_together(catalog: sa.Engine) -> None:
    ada, bob = add(catalog), add(catalog)
    start = utc("2026-03-02 10:00")
    for minute in range(5):
        ada.alert(start + timedelta(minutes=minute))
        run(catalog, start + timedelta(minutes=minute), emails_per_day=2)
    bob.alert(start + HOUR)
    run(catalog, start + HOUR, emails_per_day=2)
    assert [len(alerts) for _, alerts in ada.notifications()] == [1, 1]
    assert len(bob.notifications()) == 1, "each user has their own limit"
    assert [row.payload["limit_reached"] for row in ada.emails()] == [None, 2]
    run(catalog, start + DAY - timedelta(seconds=1), emails_per_day=2)
    assert len(ada.notifications()) == 2
    run(catalog, start + DAY, emails_per_day=2)
    third = ada.emails()[2]
    assert (len(third.payload["alerts"]), third.payload["held"], third.payload["limit_reached"]) == (
        3,
        "daily_limit",
        2,
    )


def test_zero_disables_the_daily_limit(catalog: sa.Engine) -> None:
    ada = add(catalog)
    start = utc("2026-03-02 10:00")
    for minute in range(60):
        ada.alert(start + timedelta(minutes=minute))
        run(catalog, start + timedelta(minutes=minute), emails_per_day=0)
    assert len(ada.notifications()) == 60
    assert {row.payload["limit_reached"] for row in ada.emails()} == {None}


@pytest.mark.parametrize(
    "change",
    [
        {"quiet_from": None, "quiet_until": None},
        {"quiet_until": time(3)},
        {"timezone": "Asia/Tokyo"},
        {"digest": "none"},
    ],
    ids=", ".join,
)
def test_changed_settings_apply_in_the_next_run(catalog: sa.Engine, change: dict[str, object]) -> None:
    if "digest" in change:
        ada = add(catalog, digest="weekly", digest_sent_at=utc("2026-03-02 09:00"))
    else:
        ada = add(catalog, quiet_from=time(22), quiet_until=time(7))
    ada.alert(utc("2026-03-02 23:00"))
    run(catalog, utc("2026-03-02 23:00"))
    ada.set(**change)
    assert run(catalog, utc("2026-03-03 04:00")).emails == 1


def test_held_alerts_are_sent_when_a_suppression_is_lifted(catalog: sa.Engine) -> None:
    ada = add(catalog, suppressed_at=utc("2026-03-02 08:00"), suppression_reason="550 no such user")
    ada.alert(utc("2026-03-02 10:00"))
    run(catalog, utc("2026-03-02 10:00"))
    run(catalog, utc("2026-03-09 10:00"))
    assert ada.notifications() == []
    ada.set(suppressed_at=None, suppression_reason=None)
    assert run(catalog, utc("2026-03-09 10:03")).emails == 1


def test_late_alerts_wait_for_the_next_alert_or_digest(catalog: sa.Engine) -> None:
    ada, bob = add(catalog), add(catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"))
    late = [user.alert(utc("2026-03-02 10:00"), late=True) for user in (ada, bob)]
    for now in cycles(utc("2026-03-02 10:00"), utc("2026-03-03 10:00")):
        run(catalog, now)
    assert ada.notifications() == []
    assert bob.notifications() == [(utc("2026-03-03 08:00"), [late[1]])]
    new = ada.alert(utc("2026-03-03 11:00"))
    run(catalog, utc("2026-03-03 11:00"))
    assert ada.notifications() == [(utc("2026-03-03 11:00"), [late[0], new])]


def test_held_alerts_are_dropped_after_unsubscribing(catalog: sa.Engine) -> None:
    ada = add(catalog, quiet_from=time(22), quiet_until=time(7))
    ada.alert(utc("2026-03-02 23:00"))
    run(catalog, utc("2026-03-02 23:00"))
    unsubscribe(catalog, ada.subscription)
    assert run(catalog, utc("2026-03-03 07:00")).emails == 0
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT state FROM alerts")).scalars().all() == ["dropped"]
        assert connection.execute(sa.text("SELECT count(*) FROM held_users")).scalar_one() == 0


def test_cost_of_a_run_does_not_depend_on_held_alerts(catalog: sa.Engine, database: Database) -> None:
    """20,000 alerts of 2,000 users are held until their quiet hours end: no run reads them before."""
    ada = add(catalog)
    hold_many(catalog, users=2_000, alerts=20_000, now=utc("2026-03-02 23:00"))
    owner = create_engine(database.url("owner"))  # instead of waiting for autovacuum
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    owner.dispose()
    ada.alert(utc("2026-03-02 23:03"))
    before = rows_read(catalog)
    assert run(catalog, utc("2026-03-02 23:03")).emails == 1
    assert 0 < rows_read(catalog) - before < 200
    assert run(catalog, utc("2026-03-03 07:00")).emails == 2_000


HELD = [
    """INSERT INTO users (email, verified_at, created_at, quiet_from, quiet_until)
       SELECT 'held' || n || '@example.org', :now, :now, '22:00', '07:00' FROM generate_series(1, :users) n""",
    """INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
       SELECT u.id, (SELECT min(id) FROM instruments), 'change_since_last', 'either', 5, 'active', :now, :now
       FROM users u WHERE email LIKE 'held%'""",
    """INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, created_at)
       SELECT s.id, CAST(:now AS timestamptz) + n * interval '1 second', 105, 100, 5, :now FROM subscriptions s
       JOIN users u ON u.id = s.user_id AND u.email LIKE 'held%' CROSS JOIN generate_series(1, :each) n""",
]


def hold_many(engine: sa.Engine, *, users: int, alerts: int, now: datetime) -> None:
    """Add users in their quiet hours until seven, with alerts distributed among them, and hold the alerts."""
    parameters = {"users": users, "each": alerts // users, "now": now}
    with transaction(engine) as connection:
        for command in HELD:
            connection.execute(sa.text(command), parameters)
    store_alerts(engine, now)


def rows_read(engine: sa.Engine) -> int:
    """Rows read from the table alerts by any kind of scan, since the statistics began."""
    with transaction(engine) as connection:
        connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    with transaction(engine) as connection:
        return connection.execute(
            sa.text(
                "SELECT CAST(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS bigint) FROM pg_stat_user_tables "
                "WHERE relname = 'alerts'"
            )
        ).scalar_one()


def test_alerts_and_requested_emails_record_whether_prices_are_simulated(
    catalog: sa.Engine, settings: Settings
) -> None:
    for code in ("kraken", "coinbase", "binance"):
        set_exchange_enabled(catalog, code, False)
    subscribe(catalog, email="new@example.org", coin="BTC", rule=Rule(threshold=5), now=at(-1), confirmed=False)
    subscribe(catalog, email="ada@example.org", coin="BTC", rule=Rule(threshold=5), now=at(-1), confirmed=True)
    for minute, price in enumerate((100.0, 110.0)):
        load(catalog, quote(price, minute, "coinnews"))
        compute_index(catalog, settings, at(minute))
        store_alerts(catalog, at(minute))
    with transaction(catalog) as connection:
        rows = connection.execute(sa.text("SELECT kind, payload FROM outbox ORDER BY id")).all()
    assert [
        (row.kind, row.payload.get("simulated", row.payload.get("alerts", [{}])[0].get("simulated"))) for row in rows
    ] == [
        ("confirmation", True),
        ("alerts", True),
    ]
