"""Claims of one sender on outbox rows: leased, renewed, then marked or released.

A claim is a lease: other senders skip the email until ``leased_until``. A sender renews its leases every 5 s, so an
email claimed by a sender that died is free again after 25 s. Only the holder of a lease can mark the email.

A background thread marks accepted emails in groups, and renews the leases while the mail server is slow.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock
from coinwatch.database import Lock, acquire_lock, autocommit, fetch_rows, transaction
from coinwatch.errors import ChannelRemoved, DatabaseError, EmailError, PermanentEmailError
from coinwatch.time_range import DAY

BATCH = 100
LEASE = timedelta(seconds=25)
RENEW_AFTER = timedelta(seconds=5)
# Emails accepted but not marked yet are sent again if this process dies: up to two groups, one of them being marked.
GROUP = 12
GROUP_SECONDS = 0.1
MARK_ATTEMPTS = 20
POLL_SECONDS = 0.5
MAX_ATTEMPTS = 20
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=2)

Wait = Callable[[float], object]
Row = TypeVar("Row")

log = structlog.get_logger()


class ClaimedEmail(NamedTuple):
    """An outbox row as ``sql/notifications/outbox/claim_emails.sql`` returns it.

    ``attempts`` includes this one. ``link_key`` and ``link_version`` are what the recipient's links name them by.
    """

    id: int
    user_id: int
    recipient: str
    kind: str
    payload: dict[str, Any]
    message_id: UUID
    attempts: int
    created_at: datetime
    link_key: UUID
    link_version: int


class _Id(NamedTuple):
    id: int


class _Count(NamedTuple):
    counted: int


class _Lease(NamedTuple):
    lease: UUID
    leased_until: datetime


def retry_pause(attempts: int) -> timedelta:
    """How long to wait after this many failed attempts: 30 s, doubled each time, at most 2 h."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * float(2 ** min(attempts - 1, 20)))


class Claims:
    """A context manager for one run of a sender; every method raises DatabaseError.

    ``wait`` sleeps for a number of seconds. ``per_day`` limits the emails of all senders together within 24 hours
    (0: no limit); ``capped`` is set once that limit holds emails back. ``requested_by`` limits the run to the emails
    that anyone can request, to this address. ``sent`` counts the emails marked as sent.
    """

    def __init__(
        self, engine: Engine, clock: Clock, wait: Wait, per_day: int = 0, *, requested_by: str | None = None
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._wait = wait
        self._per_day = per_day
        self._requested_by = requested_by
        self._claim = (
            "notifications/outbox/claim_requested_emails" if requested_by else "notifications/outbox/claim_emails"
        )
        self._lease = uuid4()
        self._renewed_at = clock()
        self._known_ended: set[tuple[UUID, datetime]] = set()
        self.capped = False
        self.sent = 0
        # Shared with the background thread, under the condition's lock:
        self._changed = threading.Condition()
        self._held: set[int] = set()
        self._accepted: list[int] = []
        self._marking: list[int] = []
        self._flushing = self._closing = False
        self._error: DatabaseError | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run_in_background, name="coinwatch-marks", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark accepted emails and release the others; after a DatabaseError, let the leases expire instead."""
        try:
            if not isinstance(error, DatabaseError):
                self.release()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()

    def claim(self, channel: str = "email", limit: int = BATCH) -> list[ClaimedEmail]:
        """Claim due emails, none if the daily limit is reached."""
        now = self._clock()
        with self._changed:
            if not self._held:
                self._renewed_at = now
        parameters = {
            "lease": self._lease,
            "channel": channel,
            "now": now,
            "leased_until": now + LEASE,
            "limit": limit,
            "confirmations_first": False,
            "requested_by": self._requested_by,
        }
        if self._per_day and channel == "email":
            rows = self._persist(lambda: self._claim_within_limit(parameters, now, limit))
        else:
            rows = self._persist(lambda: self._fetch(self._claim, parameters, ClaimedEmail))
        with self._changed:
            self._held.update(row.id for row in rows)
        return sorted(rows)

    def holds(self, email: ClaimedEmail) -> bool:
        """Whether this sender still holds the lease of the email; renews the leases if that is due."""
        if self._clock() - self._renewed_at > RENEW_AFTER:
            self.renew()
        with self._changed:
            return email.id in self._held

    def renew(self) -> None:
        """Extend the leases of all claimed emails."""
        with self._changed:
            held = self._held | set(self._accepted)
        now = self._clock()
        kept = self._mark("notifications/outbox/renew_leases", list(held), leased_until=now + LEASE) if held else set()
        with self._changed:
            self._renewed_at = now
            lost = (held - kept) & self._held
            self._held -= lost
        if lost:
            log.warning("leases expired", emails=len(lost))

    def mark_accepted(self, email: ClaimedEmail) -> None:
        """Record that the server accepted it. Waits while a full group is unmarked and another is being marked."""
        with self._changed:
            self._held.discard(email.id)
            self._accepted.append(email.id)
            self._changed.notify_all()
            self._wait_until(lambda: len(self._accepted) < GROUP)

    def flush(self) -> None:
        """Wait until all accepted emails are marked."""
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            try:
                self._wait_until(lambda: not self._accepted and not self._marking)
            finally:
                self._flushing = False

    def mark_error(self, email: ClaimedEmail, error: EmailError) -> Literal["retried", "failed", "dropped", "lost"]:
        """Record why an email was not accepted; return its new state, or ``lost`` if its lease had expired."""
        state: Literal["retried", "failed", "dropped"]
        if isinstance(error, ChannelRemoved):
            state, marked = "dropped", self._mark("notifications/outbox/mark_dropped", [email.id], error=str(error))
        elif isinstance(error, PermanentEmailError):
            state, marked = "failed", self._mark("notifications/outbox/mark_failed", [email.id], error=str(error))
        elif email.attempts >= MAX_ATTEMPTS:
            reason = f"given up after {email.attempts} attempts: {error}"
            state, marked = "failed", self._mark("notifications/outbox/mark_failed", [email.id], error=reason)
        else:
            next_attempt_at = self._clock() + retry_pause(email.attempts)
            state, marked = (
                "retried",
                self._mark(
                    "notifications/outbox/mark_retry", [email.id], next_attempt_at=next_attempt_at, error=str(error)
                ),
            )
        with self._changed:
            self._held.discard(email.id)
        if marked:
            return state
        log.warning("lease expired while sending", outbox_id=email.id)
        return "lost"

    def release(self, next_attempt_at: datetime | None = None, error: str | None = None) -> int:
        """Mark accepted emails and release the others, not counting the attempt; return how many were released."""
        self.flush()
        with self._changed:
            held, self._held = list(self._held), set()
        if not held:
            return 0
        return len(
            self._mark("notifications/outbox/release_emails", held, next_attempt_at=next_attempt_at, error=error)
        )

    def wait_for_dead_senders(self, stopped: Callable[[], bool]) -> bool:
        """Wait for leases that are not renewed: True once one has expired, False if all other senders are alive."""
        suspects: dict[UUID, datetime] | None = None
        for _ in range(round(LEASE.total_seconds() / POLL_SECONDS) + 2):
            leases = dict(self._fetch("notifications/outbox/select_leases", {}, _Lease))
            ended = {(lease, until) for lease, until in leases.items() if until <= self._clock()}
            if ended - self._known_ended:
                self._known_ended |= ended
                return True
            if suspects is None:
                suspects = leases
            suspects = {lease: until for lease, until in suspects.items() if leases.get(lease) == until}
            if not suspects or stopped():
                return False
            self._wait(POLL_SECONDS)
        return False

    def _claim_within_limit(self, parameters: dict[str, object], now: datetime, limit: int) -> list[ClaimedEmail]:
        """Count and claim under a lock, so that all senders together stay within the limit."""
        with transaction(self._engine) as database:
            acquire_lock(database, Lock.EMAILS_PER_DAY)
            day = {"since": now - DAY, "now": now, "limit": self._per_day}
            [row] = fetch_rows(database, "notifications/outbox/count_sent_today", day, _Count)
            left = self._per_day - row.counted
            if left <= 0:
                self.capped = True
                return []
            parameters = parameters | {
                "limit": min(limit, left),
                "confirmations_first": left <= max(BATCH, self._per_day // 10),
            }
            rows = fetch_rows(database, self._claim, parameters, ClaimedEmail)
            self.capped = len(rows) == left
            return rows

    def _run_in_background(self) -> None:
        """Mark a group when it is full or GROUP_SECONDS have passed, and renew the leases when that is due."""
        renewed = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or len(self._accepted) >= GROUP or (self._flushing and self._accepted),
                    GROUP_SECONDS,
                )
                if self._closing:
                    return
                self._marking, self._accepted = self._accepted, []
            try:
                self._mark_sent(self._marking)
                if time.monotonic() - renewed >= RENEW_AFTER.total_seconds():
                    renewed = time.monotonic()
                    self.renew()
            except DatabaseError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._marking = []
                self._changed.notify_all()

    def _mark_sent(self, ids: list[int]) -> None:
        if not ids:
            return
        marked = self._mark("notifications/outbox/mark_sent", ids, now=self._clock())
        self.sent += len(marked)
        for outbox_id in set(ids) - marked:
            log.warning("lease expired while sending", outbox_id=outbox_id)

    def _wait_until(self, done: Callable[[], bool]) -> None:
        """Wait for the background thread; raises its error if it failed."""
        self._changed.wait_for(lambda: self._error is not None or done())
        if self._error is not None:
            raise self._error

    def _mark(self, name: str, ids: Sequence[int], **values: object) -> set[int]:
        """Execute a statement on emails; return the ids of those whose lease was still this sender's."""
        parameters = {"ids": list(ids), "lease": self._lease, **values}
        return {row.id for row in self._persist(lambda: self._fetch(name, parameters, _Id))}

    def _fetch(self, name: str, parameters: dict[str, object], row: type[Row]) -> list[Row]:
        with autocommit(self._engine) as database:
            return fetch_rows(database, name, parameters, row)

    def _persist(self, run: Callable[[], Row]) -> Row:
        """Retry while Postgres is unavailable and emails are claimed: an accepted email must be marked."""
        for _ in range(MARK_ATTEMPTS):
            try:
                return run()
            except DatabaseError as error:
                with self._changed:
                    idle = not self._held and not self._accepted and not self._marking
                if idle:
                    raise
                log.warning("emails not marked: Postgres unavailable", error=str(error))
                self._wait(1.0)
        return run()
