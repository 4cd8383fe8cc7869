"""When people are told: at once, after their quiet hours, with their digest, within the cap; and always in the end."""

from datetime import datetime, time, timedelta

import pytest
import sqlalchemy as sa

from coinwatch.alerts.subscriptions import unsubscribe
from coinwatch.database import create_engine, transaction
from coinwatch.pipeline import store_alerts
from tests.conftest import Database
from tests.support.quotes import at, load, quote
from tests.support.subscribers import DAY, HOUR, add, cycles, run, utc


def test_alerts_in_quiet_hours_come_in_one_mail_at_their_end(catalog: sa.Engine) -> None:
    ada = add(catalog, quiet_from=time(13), quiet_until=time(13, 30))
    for minute, price in enumerate((100.0, 106.0, 113.0)):
        load(catalog, quote(price, 58 + minute))
        run(catalog, at(58 + minute))
    first, *_ = ada.told()
    assert first[0] == at(59)
    assert run(catalog, at(89)).emails == 0
    assert run(catalog, at(90)).emails == 1, "13:30, although nothing fired"
    [told, held] = ada.mails()
    assert (told.payload["held"], held.payload["held"]) == (None, "quiet_hours")
    assert [alert["observed_at"] for alert in held.payload["alerts"]] == ["2026-03-01T13:00:00+00:00"]
    assert run(catalog, at(91)).emails == 0


@pytest.mark.parametrize(
    ("zone", "quiet_from", "quiet_until", "fired", "told"),
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
        "before", "at the first moment", "at the last", "equal times", "half hour", "shift of half an hour", "spring",
        "an end that spring skips", "autumn", "an end that comes twice", "unknown zone",
    ],
)  # fmt: skip
def test_quiet_hours_are_the_readers(
    catalog: sa.Engine, zone: str, quiet_from: str, quiet_until: str, fired: str, told: str
) -> None:
    ada = add(
        catalog, timezone=zone, quiet_from=time.fromisoformat(quiet_from), quiet_until=time.fromisoformat(quiet_until)
    )
    ada.alert(utc(fired))
    for now in cycles(utc(fired), utc(told) + 2 * HOUR):
        run(catalog, now)
    [(moment, _)] = ada.told()
    if fired.endswith("21:59") or quiet_from == quiet_until:
        assert moment == utc(fired), "not during quiet hours"
    else:
        assert timedelta(0) <= moment - utc(told) < timedelta(minutes=15)


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        ("daily", [("2026-03-03 13:00", 2), ("2026-03-04 13:00", 1), ("2026-03-09 12:00", 1)]),
        ("weekly", [("2026-03-09 12:00", 4)]),
    ],
)
def test_a_digest_comes_once_a_period_at_eight_where_the_reader_is(
    catalog: sa.Engine, digest: str, expected: list[tuple[str, int]]
) -> None:
    """In New York, where the clocks go forward on Sunday, 8 March."""
    ada = add(catalog, timezone="America/New_York", digest=digest, digest_sent_at=utc("2026-03-02 13:30"))
    fired = {utc("2026-03-02 14:00"), utc("2026-03-03 13:00"), utc("2026-03-03 13:15"), utc("2026-03-09 11:45")}
    for now in cycles(utc("2026-03-02 14:00"), utc("2026-03-10 18:00")):
        if now in fired:
            ada.alert(now)
        run(catalog, now)
        run(catalog, now)
    mails = ada.mails()
    assert [(row.created_at, len(row.payload["alerts"])) for row in mails] == [(utc(when), n) for when, n in expected]
    assert {(row.kind, row.payload["held"], row.payload["period"]) for row in mails} == {("digest", "digest", digest)}


def test_the_end_of_a_rule_is_not_told_in_quiet_hours(catalog: sa.Engine) -> None:
    ada, bob = add(catalog, quiet_from=time(22), quiet_until=time(7)), add(catalog)
    with transaction(catalog) as connection:
        connection.execute(sa.text("UPDATE subscriptions SET expires_at = :at"), {"at": utc("2026-03-02 23:00")})
    run(catalog, utc("2026-03-02 23:03"))
    due = [person.mails()[0].next_attempt_at for person in (ada, bob)]
    assert due == [utc("2026-03-03 07:00"), utc("2026-03-02 23:03")]


def test_a_digest_that_is_late_by_hours_still_comes_once(catalog: sa.Engine) -> None:
    ada = add(catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"))
    first = ada.alert(utc("2026-03-02 20:00"))
    run(catalog, utc("2026-03-02 20:00"))
    second = ada.alert(utc("2026-03-03 14:00"))
    run(catalog, utc("2026-03-03 14:00"))
    third = ada.alert(utc("2026-03-03 14:03"))
    for now in cycles(utc("2026-03-03 14:03"), utc("2026-03-04 10:00")):
        run(catalog, now)
    assert ada.told() == [(utc("2026-03-03 14:00"), [first, second]), (utc("2026-03-04 08:03"), [third])]


def test_a_digest_due_in_quiet_hours_comes_at_their_end(catalog: sa.Engine) -> None:
    ada = add(
        catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"), quiet_from=time(23), quiet_until=time(10)
    )
    ada.alert(utc("2026-03-02 20:00"))
    for now in cycles(utc("2026-03-02 20:00"), utc("2026-03-03 12:00")):
        run(catalog, now)
    assert [moment for moment, _ in ada.told()] == [utc("2026-03-03 10:00")]


def test_beyond_the_cap_alerts_are_held_and_told_together(catalog: sa.Engine) -> None:
    ada, bob = add(catalog), add(catalog)
    start = utc("2026-03-02 10:00")
    for minute in range(5):
        ada.alert(start + timedelta(minutes=minute))
        run(catalog, start + timedelta(minutes=minute), cap=2)
    bob.alert(start + HOUR)
    run(catalog, start + HOUR, cap=2)
    assert [len(alerts) for _, alerts in ada.told()] == [1, 1]
    assert len(bob.told()) == 1, "the cap is each one's own"
    assert [row.payload["limit_reached"] for row in ada.mails()] == [None, 2]
    run(catalog, start + DAY - timedelta(seconds=1), cap=2)
    assert len(ada.told()) == 2
    run(catalog, start + DAY, cap=2)
    third = ada.mails()[2]
    assert (len(third.payload["alerts"]), third.payload["held"], third.payload["limit_reached"]) == (
        3,
        "daily_limit",
        2,
    )


def test_no_cap_is_no_cap(catalog: sa.Engine) -> None:
    ada = add(catalog)
    start = utc("2026-03-02 10:00")
    for minute in range(60):
        ada.alert(start + timedelta(minutes=minute))
        run(catalog, start + timedelta(minutes=minute), cap=0)
    assert len(ada.told()) == 60
    assert {row.payload["limit_reached"] for row in ada.mails()} == {None}


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
def test_whoever_changes_their_wishes_is_looked_at_in_the_next_run(
    catalog: sa.Engine, change: dict[str, object]
) -> None:
    if "digest" in change:
        ada = add(catalog, digest="weekly", digest_sent_at=utc("2026-03-02 09:00"))
    else:
        ada = add(catalog, quiet_from=time(22), quiet_until=time(7))
    ada.alert(utc("2026-03-02 23:00"))
    run(catalog, utc("2026-03-02 23:00"))
    ada.wishes(**change)
    assert run(catalog, utc("2026-03-03 04:00")).emails == 1


def test_a_disabled_address_gets_what_was_held_when_it_takes_mail_again(catalog: sa.Engine) -> None:
    ada = add(catalog, suppressed_at=utc("2026-03-02 08:00"), suppression_reason="550 no such user")
    ada.alert(utc("2026-03-02 10:00"))
    run(catalog, utc("2026-03-02 10:00"))
    run(catalog, utc("2026-03-09 10:00"))
    assert ada.told() == []
    ada.wishes(suppressed_at=None, suppression_reason=None)
    assert run(catalog, utc("2026-03-09 10:03")).emails == 1


def test_missed_alerts_wait_for_news_but_not_longer_than_a_digest(catalog: sa.Engine) -> None:
    ada, bob = add(catalog), add(catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"))
    late = [person.alert(utc("2026-03-02 10:00"), late=True) for person in (ada, bob)]
    for now in cycles(utc("2026-03-02 10:00"), utc("2026-03-03 10:00")):
        run(catalog, now)
    assert ada.told() == []
    assert bob.told() == [(utc("2026-03-03 08:00"), [late[1]])]
    news = ada.alert(utc("2026-03-03 11:00"))
    run(catalog, utc("2026-03-03 11:00"))
    assert ada.told() == [(utc("2026-03-03 11:00"), [late[0], news])]


def test_nobody_hears_of_a_rule_they_left_while_its_alerts_were_held(catalog: sa.Engine) -> None:
    ada = add(catalog, quiet_from=time(22), quiet_until=time(7))
    ada.alert(utc("2026-03-02 23:00"))
    run(catalog, utc("2026-03-02 23:00"))
    unsubscribe(catalog, ada.subscription)
    assert run(catalog, utc("2026-03-03 07:00")).emails == 0
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT state FROM alerts")).scalars().all() == ["dropped"]
        assert connection.execute(sa.text("SELECT count(*) FROM held_users")).scalar_one() == 0


def test_a_run_costs_what_it_tells_however_much_is_held(catalog: sa.Engine, database: Database) -> None:
    """20,000 alerts of 2,000 people wait for the end of their quiet hours: no run before it reads them."""
    ada = add(catalog)
    hold_many(catalog, people=2_000, alerts=20_000, now=utc("2026-03-02 23:00"))
    owner = create_engine(database.url("owner"))  # autovacuum in its place, which comes when it likes
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
       SELECT 'held' || n || '@example.org', :now, :now, '22:00', '07:00' FROM generate_series(1, :people) n""",
    """INSERT INTO subscriptions (user_id, instrument_id, kind, direction, threshold, status, active_from, created_at)
       SELECT u.id, (SELECT min(id) FROM instruments), 'change_since_last', 'either', 5, 'active', :now, :now
       FROM users u WHERE email LIKE 'held%'""",
    """INSERT INTO alerts (subscription_id, observed_at, price, reference, change_percent, created_at)
       SELECT s.id, CAST(:now AS timestamptz) + n * interval '1 second', 105, 100, 5, :now FROM subscriptions s
       JOIN users u ON u.id = s.user_id AND u.email LIKE 'held%' CROSS JOIN generate_series(1, :each) n""",
]


def hold_many(engine: sa.Engine, *, people: int, alerts: int, now: datetime) -> None:
    """People in their quiet hours until seven, with alerts shared out among them, held by a run of their own."""
    parameters = {"people": people, "each": alerts // people, "now": now}
    with transaction(engine) as connection:
        for command in HELD:
            connection.execute(sa.text(command), parameters)
    store_alerts(engine, now)


def rows_read(engine: sa.Engine) -> int:
    """Rows that scans of any kind brought from the table of alerts, since the statistics began."""
    with transaction(engine) as connection:
        connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    with transaction(engine) as connection:
        return connection.execute(
            sa.text(
                "SELECT CAST(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) AS bigint) FROM pg_stat_user_tables "
                "WHERE relname = 'alerts'"
            )
        ).scalar_one()
