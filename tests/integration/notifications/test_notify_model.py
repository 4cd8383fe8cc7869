"""Random settings and times: every alert is sent in the run in which a simple model, checking everything, sends it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from coinwatch.database import transaction
from tests.support.subscribers import DAY, Subscriber, add, cycles, run, utc


@dataclass
class Model:
    """The same decisions by checking everything in every run, with Python's time zones."""

    zone: ZoneInfo
    quiet: tuple[time, time] | None
    digest: str
    digest_sent_at: datetime
    emails_per_day: int
    waiting: list[tuple[int, datetime, bool]] = field(default_factory=list)
    sent: list[tuple[datetime, list[int]]] = field(default_factory=list)

    def run(self, now: datetime) -> None:
        if self.waiting and self._may_be_sent(now):
            self.sent.append((now, [alert for alert, _, _ in self.waiting]))
            self.waiting = []
            if self.digest != "none":
                self.digest_sent_at = now

    def _may_be_sent(self, now: datetime) -> bool:
        local = now.astimezone(self.zone)
        if self.quiet:
            start, end = self.quiet
            inside = start <= local.time() < end if start < end else local.time() >= start or local.time() < end
            if start != end and inside:
                return False
        if sum(1 for moment, _ in self.sent if moment > now - DAY) >= self.emails_per_day:
            return False
        if self.digest == "none":
            return not all(late for _, _, late in self.waiting)
        day = local.date()
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
settings = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(ZONES),
        "quiet": st.none() | st.tuples(clock_times, clock_times),
        "digest": st.sampled_from(["none", "none", "daily", "weekly"]),
    }
)
# What happens before a run, and the time until the next run.
steps = st.tuples(
    st.sampled_from(["nothing", "alert", "alert", "alert", "late", "settings"]),
    st.sampled_from([3, 3, 3, 15, 60, 7 * 60, 30 * 60]).map(lambda minutes: timedelta(minutes=minutes)),
    settings,
)


@pytest.mark.timeout(300)
@hypothesis_settings(max_examples=30)
@given(
    start=st.sampled_from(
        [utc("2026-03-07 03:00"), utc("2026-03-28 12:00"), utc("2026-10-24 12:00"), utc("2026-06-01 00:00")]
    ),
    first=settings,
    events=st.lists(steps, min_size=1, max_size=25),
    emails_per_day=st.sampled_from([1, 2, 50]),
)
def test_every_alert_is_sent_once_and_as_early_as_allowed(
    catalog: sa.Engine,
    start: datetime,
    first: dict[str, Any],
    events: list[tuple[str, timedelta, dict[str, Any]]],
    emails_per_day: int,
) -> None:
    user = add(catalog)
    now = start
    model = Model(ZoneInfo("UTC"), None, "none", now, emails_per_day)
    change_settings(user, model, first, now)
    for event, pause, changed in events:
        if event == "settings":
            change_settings(user, model, changed, now)
        elif event != "nothing":
            late = event == "late"
            model.waiting.append((user.alert(now, late=late), now, late))
        run(catalog, now, emails_per_day)
        model.run(now)
        now += pause
    model.waiting.append((user.alert(now), now, False))
    for moment in cycles(now, now + 16 * DAY, timedelta(hours=13, minutes=10)):
        run(catalog, moment, emails_per_day)
        model.run(moment)
    # Alerts that quiet hours of almost a whole day have kept from all of these runs.
    change_settings(user, model, {"zone": "UTC", "quiet": None, "digest": "none"}, now)
    for moment in (now + 17 * DAY, now + 19 * DAY):
        run(catalog, moment, emails_per_day)
        model.run(moment)
    sent = user.notifications()
    with transaction(catalog) as connection:
        connection.execute(sa.text("DELETE FROM users WHERE email = :email"), {"email": user.email})
    assert sent == model.sent
    assert model.waiting == []


def change_settings(user: Subscriber, model: Model, wanted: dict[str, Any], now: datetime) -> None:
    quiet = wanted["quiet"] or (None, None)
    if wanted["digest"] != model.digest:
        model.digest_sent_at = now
        user.set(now, digest=wanted["digest"])
    user.set(timezone=wanted["zone"], quiet_from=quiet[0], quiet_until=quiet[1])
    model.zone, model.quiet, model.digest = ZoneInfo(wanted["zone"]), wanted["quiet"], wanted["digest"]
