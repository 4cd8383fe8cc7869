"""When people are told: at once, after their quiet hours, with their digest, within the cap; and always in the end."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.alerts.matching import MatchResult, match_alerts
from coinwatch.alerts.rules import Rule
from coinwatch.alerts.subscriptions import subscribe, unsubscribe
from coinwatch.alerts.telling import Telling
from coinwatch.database import create_engine, transaction
from tests.conftest import Database
from tests.support.quotes import at, load, quote

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NUMBERS = count(1)


@dataclass
class Person:
    """Somebody with one rule; alerts are put to it as the matcher would."""

    engine: sa.Engine
    email: str
    subscription: int
    observed: datetime = datetime(2020, 1, 1, tzinfo=UTC)

    def wishes(self, now: datetime | None = None, **wishes: object) -> None:
        """Change how this person is told, as the manage page does it."""
        if "digest" in wishes and now is not None:
            wishes["digest_sent_at"] = now
        assignments = ", ".join(f"{name} = :{name}" for name in wishes)
        with transaction(self.engine) as connection:
            connection.execute(
                sa.text(f"UPDATE users SET {assignments} WHERE email = :email"), {"email": self.email, **wishes}
            )

    def alert(self, now: datetime, *, missed: bool = False) -> int:
        self.observed += timedelta(seconds=1)
        with transaction(self.engine) as connection:
            return connection.execute(
                sa.text(
                    "INSERT INTO alerts (subscription_id, observed_at, price, reference, reference_at, change_percent, "
                    "missed, created_at) "
                    "VALUES (:subscription, :observed, 105, 100, :observed, 5, :missed, :now) RETURNING id"
                ),
                {"subscription": self.subscription, "observed": self.observed, "missed": missed, "now": now},
            ).scalar_one()

    def mails(self) -> list[sa.Row[Any]]:
        with transaction(self.engine) as connection:
            return list(
                connection.execute(
                    sa.text("SELECT * FROM outbox WHERE recipient = :email ORDER BY created_at, id"),
                    {"email": self.email},
                )
            )

    def told(self) -> list[tuple[datetime, list[int]]]:
        """When a mail was queued, and which alerts it tells."""
        return [(row.created_at, [alert["alert_id"] for alert in row.payload["alerts"]]) for row in self.mails()]


def add(engine: sa.Engine, **wishes: object) -> Person:
    email = f"person{next(NUMBERS)}@example.org"
    rule = Rule(threshold=5)
    subscription = subscribe(engine, email=email, coin="BTC", exchange="kraken", rule=rule, now=at(-1), confirmed=True)
    person = Person(engine, email, subscription.id)
    if wishes:
        person.wishes(**wishes)
    return person


def run(engine: sa.Engine, now: datetime, cap: int = 50) -> MatchResult:
    return match_alerts(engine, now, telling=Telling(mails_per_day=cap))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cycles(first: datetime, last: datetime, step: timedelta = timedelta(minutes=15)) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += step


def test_alerts_in_quiet_hours_come_in_one_mail_at_their_end(catalog: sa.Engine) -> None:
    ada = add(catalog, quiet_from=time(13), quiet_until=time(13, 30))
    for minute, price in enumerate((100.0, 106.0, 113.0)):
        load(catalog, quote(price, 58 + minute))
        run(catalog, at(58 + minute))
    first, *_ = ada.told()
    assert first[0] == at(59)
    assert run(catalog, at(89)).mails == 0
    assert run(catalog, at(90)).mails == 1, "13:30, although nothing fired"
    [told, held] = ada.mails()
    assert (told.payload["held"], held.payload["held"]) == (None, "quiet")
    assert [alert["observed_at"] for alert in held.payload["alerts"]] == ["2026-03-01T13:00:00+00:00"]
    assert run(catalog, at(91)).mails == 0


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
    assert timedelta(0) <= moment - utc(told) < timedelta(minutes=15) or moment == utc(fired)
    assert (moment == utc(fired)) == (fired.endswith("21:59") or quiet_from == quiet_until)


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
    assert [row.payload["last_today"] for row in ada.mails()] == [None, 2]
    run(catalog, start + DAY - timedelta(seconds=1), cap=2)
    assert len(ada.told()) == 2
    run(catalog, start + DAY, cap=2)
    third = ada.mails()[2]
    assert (len(third.payload["alerts"]), third.payload["held"], third.payload["last_today"]) == (3, "cap", 2)


def test_no_cap_is_no_cap(catalog: sa.Engine) -> None:
    ada = add(catalog)
    start = utc("2026-03-02 10:00")
    for minute in range(60):
        ada.alert(start + timedelta(minutes=minute))
        run(catalog, start + timedelta(minutes=minute), cap=0)
    assert len(ada.told()) == 60
    assert {row.payload["last_today"] for row in ada.mails()} == {None}


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
    assert run(catalog, utc("2026-03-03 04:00")).mails == 1


def test_a_disabled_address_gets_what_was_held_when_it_takes_mail_again(catalog: sa.Engine) -> None:
    ada = add(catalog, disabled_at=utc("2026-03-02 08:00"), disabled_reason="550 no such user")
    ada.alert(utc("2026-03-02 10:00"))
    run(catalog, utc("2026-03-02 10:00"))
    run(catalog, utc("2026-03-09 10:00"))
    assert ada.told() == []
    ada.wishes(disabled_at=None, disabled_reason=None)
    assert run(catalog, utc("2026-03-09 10:03")).mails == 1


def test_missed_alerts_wait_for_news_but_not_longer_than_a_digest(catalog: sa.Engine) -> None:
    ada, bob = add(catalog), add(catalog, digest="daily", digest_sent_at=utc("2026-03-02 09:00"))
    missed = [person.alert(utc("2026-03-02 10:00"), missed=True) for person in (ada, bob)]
    for now in cycles(utc("2026-03-02 10:00"), utc("2026-03-03 10:00")):
        run(catalog, now)
    assert ada.told() == []
    assert bob.told() == [(utc("2026-03-03 08:00"), [missed[1]])]
    news = ada.alert(utc("2026-03-03 11:00"))
    run(catalog, utc("2026-03-03 11:00"))
    assert ada.told() == [(utc("2026-03-03 11:00"), [missed[0], news])]


def test_nobody_hears_of_a_rule_they_left_while_its_alerts_were_held(catalog: sa.Engine) -> None:
    ada = add(catalog, quiet_from=time(22), quiet_until=time(7))
    ada.alert(utc("2026-03-02 23:00"))
    run(catalog, utc("2026-03-02 23:00"))
    unsubscribe(catalog, ada.subscription)
    assert run(catalog, utc("2026-03-03 07:00")).mails == 0
    with transaction(catalog) as connection:
        assert connection.execute(sa.text("SELECT state FROM alerts")).scalars().all() == ["dropped"]
        assert connection.execute(sa.text("SELECT count(*) FROM held_people")).scalar_one() == 0


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
    assert run(catalog, utc("2026-03-02 23:03")).mails == 1
    assert 0 < rows_read(catalog) - before < 200
    assert run(catalog, utc("2026-03-03 07:00")).mails == 2_000


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
    match_alerts(engine, now)


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


@dataclass
class Model:
    """The same decisions by looking at everything in every run, with Python's time zones."""

    zone: ZoneInfo
    quiet: tuple[time, time] | None
    digest: str
    digest_sent_at: datetime
    cap: int
    waiting: list[tuple[int, datetime, bool]] = field(default_factory=list)
    told: list[tuple[datetime, list[int]]] = field(default_factory=list)

    def run(self, now: datetime) -> None:
        if self.waiting and self._may_be_told(now):
            self.told.append((now, [alert for alert, _, _ in self.waiting]))
            self.waiting = []
            if self.digest != "none":
                self.digest_sent_at = now

    def _may_be_told(self, now: datetime) -> bool:
        here = now.astimezone(self.zone)
        if self.quiet:
            start, end = self.quiet
            inside = start <= here.time() < end if start < end else here.time() >= start or here.time() < end
            if start != end and inside:
                return False
        if sum(1 for moment, _ in self.told if moment > now - DAY) >= self.cap:
            return False
        if self.digest == "none":
            return not all(missed for _, _, missed in self.waiting)
        day = here.date()
        while datetime.combine(day, time(8), self.zone).astimezone(UTC) > now or (
            self.digest == "weekly" and day.weekday() != 0
        ):
            day -= DAY
        due = datetime.combine(day, time(8), self.zone).astimezone(UTC)
        return due > self.digest_sent_at and due >= min(fired for _, fired, _ in self.waiting)


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
]
clock_times = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))
wishes = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(ZONES),
        "quiet": st.none() | st.tuples(clock_times, clock_times),
        "digest": st.sampled_from(["none", "none", "daily", "weekly"]),
    }
)
# What happens between two runs, and how long after the last run the next one comes.
steps = st.tuples(
    st.sampled_from(["nothing", "alert", "alert", "alert", "missed", "wishes"]),
    st.sampled_from([3, 3, 3, 15, 60, 7 * 60, 30 * 60]).map(lambda minutes: timedelta(minutes=minutes)),
    wishes,
)


@pytest.mark.timeout(300)
@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(
        [utc("2026-03-07 03:00"), utc("2026-03-28 12:00"), utc("2026-10-24 12:00"), utc("2026-06-01 00:00")]
    ),
    first=wishes,
    happenings=st.lists(steps, min_size=1, max_size=25),
    cap=st.sampled_from([1, 2, 50]),
)
def test_every_alert_is_told_once_and_as_early_as_may_be(
    catalog: sa.Engine,
    start: datetime,
    first: dict[str, Any],
    happenings: list[tuple[str, timedelta, dict[str, Any]]],
    cap: int,
) -> None:
    """In the runs in which a look at everybody would tell it, whatever people wish and whenever they change it."""
    person = add(catalog)
    now = start
    model = Model(ZoneInfo("UTC"), None, "none", now, cap)
    wish(person, model, first, now)
    for happening, pause, changed in happenings:
        if happening == "wishes":
            wish(person, model, changed, now)
        elif happening != "nothing":
            missed = happening == "missed"
            model.waiting.append((person.alert(now, missed=missed), now, missed))
        run(catalog, now, cap)
        model.run(now)
        now += pause
    model.waiting.append((person.alert(now), now, False))
    for moment in cycles(now, now + 16 * DAY, timedelta(hours=13, minutes=10)):
        run(catalog, moment, cap)
        model.run(moment)
    # What quiet hours of almost the whole day kept from all of these runs.
    wish(person, model, {"zone": "UTC", "quiet": None, "digest": "none"}, now)
    for moment in (now + 17 * DAY, now + 19 * DAY):
        run(catalog, moment, cap)
        model.run(moment)
    told = person.told()
    with transaction(catalog) as connection:
        connection.execute(sa.text("DELETE FROM users WHERE email = :email"), {"email": person.email})
    assert told == model.told
    assert model.waiting == []


def wish(person: Person, model: Model, wanted: dict[str, Any], now: datetime) -> None:
    quiet = wanted["quiet"] or (None, None)
    if wanted["digest"] != model.digest:
        model.digest_sent_at = now
        person.wishes(now, digest=wanted["digest"])
    person.wishes(timezone=wanted["zone"], quiet_from=quiet[0], quiet_until=quiet[1])
    model.zone, model.quiet, model.digest = ZoneInfo(wanted["zone"]), wanted["quiet"], wanted["digest"]
