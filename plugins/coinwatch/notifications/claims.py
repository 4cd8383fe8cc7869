"""What one sender holds of the outbox: claimed for a while, kept while it lives, then marked or given back.

A claim is a lease: others pass over the mail until ``leased_until``. A living sender renews its lease every 5 s, so
that what a dead one held is free 25 s after its death. Every mark says whether the lease was still ours.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock
from coinwatch.database import Lock, acquire_lock, autocommit, fetch_rows, transaction
from coinwatch.errors import DatabaseError

BATCH = 100
LEASE = timedelta(seconds=25)
RENEWED_AFTER = timedelta(seconds=5)
# What is accepted and not marked goes out again if this process dies: at most two groups, one of which is being marked.
GROUP = 12
GROUP_SECONDS = 0.1
DAY = timedelta(days=1)
TRIES = 20
LOOK_SECONDS = 0.5

Wait = Callable[[float], object]
Row = TypeVar("Row")

log = structlog.get_logger()


class ClaimedEmail(NamedTuple):
    """A row of the outbox as sql/notifications/outbox/claim_emails.sql gives it; ``attempts`` counts this one too."""

    id: int
    user_id: int
    recipient: str
    kind: str
    payload: dict[str, Any]
    message_id: UUID
    attempts: int
    created_at: datetime


class _Id(NamedTuple):
    id: int


class _Lease(NamedTuple):
    lease: UUID
    leased_until: datetime


class Claims:
    """One sender's claims; ``per_day`` is the most mails all senders may send within 24 hours, 0 for any number.

    Every method raises DatabaseError.
    """

    def __init__(self, engine: Engine, clock: Clock, wait: Wait, per_day: int = 0) -> None:
        self._engine = engine
        self._clock = clock
        self._wait = wait
        self._per_day = per_day
        self._lease = uuid4()
        self._held: set[int] = set()
        self._renewed_at = clock()
        self._accepted: list[int] = []
        self._accepted_since = 0.0
        self._marking: tuple[list[int], Future[set[int]]] | None = None
        self._beside = ThreadPoolExecutor(1, "coinwatch-marks")
        self._seen_ended: set[tuple[UUID, datetime]] = set()
        self.capped = False
        self.sent = 0

    def take(self, channel: str = "email", most: int = BATCH) -> list[ClaimedEmail]:
        """Due mails, ours from now on; none when nothing is due or the daily limit is reached (``capped``)."""
        now = self._clock()
        if not self._held:
            self._renewed_at = now
        claim = {
            "lease": self._lease,
            "channel": channel,
            "now": now,
            "leased_until": now + LEASE,
            "most": most,
            "confirmations_first": False,
        }
        if self._per_day and channel == "email":
            rows = self._stubborn(lambda: self._take_within_limit(claim, now, most))
        else:
            rows = self._stubborn(lambda: self._fetch("notifications/outbox/claim_emails", claim, ClaimedEmail))
        self._held.update(row.id for row in rows)
        return sorted(rows)

    def holds(self, mail: ClaimedEmail) -> bool:
        """Whether the mail is still ours; renews the lease when that is due."""
        self.renew()
        return mail.id in self._held

    def renew(self) -> None:
        """Keep what is held, when the last time is a while ago."""
        now = self._clock()
        if now - self._renewed_at <= RENEWED_AFTER or not self._held:
            return
        kept = self._mark("notifications/outbox/renew_leases", list(self._held), leased_until=now + LEASE)
        self._renewed_at = now
        if lost := self._held - kept:
            log.warning("lease ran out, another sender has these mails", mails=len(lost))
            self._held &= kept

    def accepted(self, mail: ClaimedEmail) -> None:
        """The server has the mail; marked in groups, each while the next one is sent."""
        if not self._accepted:
            self._accepted_since = time.monotonic()
        self._accepted.append(mail.id)
        if len(self._accepted) >= GROUP or time.monotonic() - self._accepted_since >= GROUP_SECONDS:
            self._begin_marking()

    def mark_sent(self) -> None:
        """Everything accepted is marked when this returns."""
        if self._accepted:
            self._begin_marking()
        self._end_marking()

    def mark_retry(self, mail: ClaimedEmail, next_attempt_at: datetime, error: str) -> bool:
        """To be tried again; whether the lease was still ours."""
        return self._settle(mail, "notifications/outbox/mark_retry", next_attempt_at=next_attempt_at, error=error)

    def mark_failed(self, mail: ClaimedEmail, error: str) -> bool:
        """Given up; whether the lease was still ours."""
        return self._settle(mail, "notifications/outbox/mark_failed", error=error)

    def mark_dropped(self, mail: ClaimedEmail, reason: str) -> bool:
        """Nobody is left to whom it could go; whether the lease was still ours."""
        return self._settle(mail, "notifications/outbox/mark_dropped", error=reason)

    def give_back(self, next_attempt_at: datetime | None = None, error: str | None = None) -> int:
        """Mark what is accepted and give back the rest without counting an attempt; how many are given back."""
        self.mark_sent()
        if not self._held:
            return 0
        released = self._mark(
            "notifications/outbox/release_emails", list(self._held), next_attempt_at=next_attempt_at, error=error
        )
        self._held.clear()
        return len(released)

    def wait_for_the_dead(self, stopped: Callable[[], bool]) -> bool:
        """Wait for claims that nobody renews; True when there is one to take over, False when all others live."""
        suspects: dict[UUID, datetime] | None = None
        for _ in range(round(LEASE.total_seconds() / LOOK_SECONDS) + 2):
            leases = dict(self._fetch("notifications/outbox/select_leases", {}, _Lease))
            ended = {(lease, until) for lease, until in leases.items() if until <= self._clock()}
            if ended - self._seen_ended:
                self._seen_ended |= ended
                return True
            if suspects is None:
                suspects = leases
            suspects = {lease: until for lease, until in suspects.items() if leases.get(lease) == until}
            if not suspects or stopped():
                return False
            self._wait(LOOK_SECONDS)
        return False

    def _take_within_limit(self, claim: dict[str, object], now: datetime, most: int) -> list[ClaimedEmail]:
        """Senders count and claim one after the other, so that together they keep to the limit."""
        with transaction(self._engine) as database:
            acquire_lock(database, Lock.EMAILS_PER_DAY)
            day = {"since": now - DAY, "now": now, "most": self._per_day}
            [counted] = fetch_rows(database, "notifications/outbox/count_sent_today", day, _Id)
            left = self._per_day - counted.id
            if left <= 0:
                self.capped = True
                return []
            few = {"most": min(most, left), "confirmations_first": left <= max(BATCH, self._per_day // 10)}
            rows = fetch_rows(database, "notifications/outbox/claim_emails", claim | few, ClaimedEmail)
            self.capped = len(rows) == left
            return rows

    def _begin_marking(self) -> None:
        """Mark the group beside what this thread does. No more than one group at a time, so that few are in flight."""
        self._end_marking()
        group, self._accepted = self._accepted, []
        self._held.difference_update(group)
        self._marking = (
            group,
            self._beside.submit(self._mark, "notifications/outbox/mark_sent", group, now=self._clock()),
        )

    def _end_marking(self) -> None:
        if self._marking is None:
            return
        group, marking = self._marking
        marked = marking.result()
        self._marking = None
        self.sent += len(marked)
        for number in set(group) - marked:
            log.warning("lease ran out while sending", outbox_id=number)

    def _settle(self, mail: ClaimedEmail, name: str, **values: object) -> bool:
        ours = mail.id in self._mark(name, [mail.id], **values)
        self._held.discard(mail.id)
        if not ours:
            log.warning("lease ran out while sending", outbox_id=mail.id)
        return ours

    def _mark(self, name: str, ids: Sequence[int], **values: object) -> set[int]:
        """The ids whose lease was ours."""
        parameters = {"ids": list(ids), "lease": self._lease, **values}
        return {row.id for row in self._stubborn(lambda: self._fetch(name, parameters, _Id))}

    def _fetch(self, name: str, parameters: dict[str, object], row: type[Row]) -> list[Row]:
        with autocommit(self._engine) as database:
            return fetch_rows(database, name, parameters, row)

    def _stubborn(self, run: Callable[[], Row]) -> Row:
        """Try again while Postgres is away and mails are in our hands: what is sent must not be forgotten."""
        for _ in range(TRIES):
            try:
                return run()
            except DatabaseError as error:
                if not self._held and not self._accepted and self._marking is None:
                    raise
                log.warning("Postgres is away, mails wait to be marked", error=str(error))
                self._wait(1.0)
        return run()
