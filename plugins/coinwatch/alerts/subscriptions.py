"""Subscriptions: an address, an instrument and a rule."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from coinwatch.addresses import normalize_address, parse_address
from coinwatch.alerts.rules import Direction, Kind, Metric, Period, Rule, check_rule, describe
from coinwatch.audit import Actor, record
from coinwatch.database import statement, transaction
from coinwatch.errors import InvalidRequest, NotFound, Problems, TooManySubscriptions
from coinwatch.prices.catalog import FoundInstrument

MAX_SUBSCRIPTIONS = 100  # active and paused ones of an address
# Anyone can request these, so they are counted separately: the newest ones replace the oldest.
MAX_PENDING = 100
STALE_PRICE_AGE = timedelta(days=1)  # then an active subscription is reported as lacking prices


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A valid request for alerts by ``rule`` on an existing instrument, sent to ``email``. See :meth:`create`.

    ``timezone`` is the one of the person's device, saved for a new user; None if it is not known.
    """

    email: str
    instrument: FoundInstrument
    rule: Rule
    timezone: str | None = None

    @classmethod
    def create(cls, email: str, instrument: FoundInstrument, rule: Rule, now: datetime) -> "SubscriptionRequest":
        """Validate the address and the rule; functions that take a request don't validate again.

        Raises InvalidRequest.
        """
        problems = Problems()
        with problems.collecting():
            check_rule(rule, now)
        with problems.collecting():
            email = check_address(email)
        problems.raise_any()
        return cls(email, instrument, rule)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One user's rule on one instrument.

    The rule's fields have the meaning and units of ``Rule``. ``alerts`` is how often it has fired; ``last_price_at`` is
    when the newest price of the instrument was observed. ``simulated`` prices are not those of a market. While a ladder
    continues, ``next_step`` is the value at which it fires next, rising (``up``) or falling (``down``) to it.
    """

    id: int
    user_id: int
    email: str
    instrument_id: int
    exchange: str
    exchange_name: str
    simulated: bool
    base: str
    quote: str
    coin_name: str
    kind: Kind
    metric: Metric
    direction: Direction
    threshold: float
    window_seconds: int
    cooldown_seconds: int
    repeat: bool
    expires_at: datetime | None
    ladder_percent: float | None
    snoozed_until: datetime | None
    status: str
    created_at: datetime
    alerts: int
    last_alert_at: datetime | None
    last_price_at: datetime | None
    next_step: float | None
    next_step_direction: Direction | None

    @property
    def pair(self) -> str:
        """The instrument without its exchange: "BTC/USD"."""
        return f"{self.base}/{self.quote}"

    @property
    def rule(self) -> Rule:
        """The rule's fields as one object."""
        return Rule(
            self.kind,
            self.threshold,
            self.direction,
            self.metric,
            self.window_seconds,
            self.cooldown_seconds,
            self.repeat,
            self.expires_at,
            self.ladder_percent,
        )

    @property
    def period(self) -> Period | None:
        """The period of a new high or low; None for other kinds of rules."""
        return self.rule.period

    @property
    def condition(self) -> str:
        """The rule as a clause: "the price rises by 5% or more within 1 hour"."""
        return describe(self.rule, self.quote, self.base)

    def state(self, now: datetime) -> str:
        """The status, or ``snoozed`` for an active subscription that is snoozed."""
        snoozed = self.status == "active" and self.snoozed_until is not None and self.snoozed_until > now
        return "snoozed" if snoozed else self.status

    def lacks_recent_prices(self, now: datetime) -> bool:
        """Whether it cannot fire because there has been no price for a day; the exchange may have delisted the pair."""
        return self.status == "active" and (self.last_price_at or self.created_at) < now - STALE_PRICE_AGE


def add_subscription(
    connection: Connection, request: SubscriptionRequest, *, now: datetime, confirmed: bool
) -> tuple[Subscription, bool]:
    """Store a subscription; return it, and whether it already existed (active or paused).

    With ``confirmed`` it is active immediately, a suppression of the address is lifted, and TooManySubscriptions is
    raised if it exceeds :data:`MAX_SUBSCRIPTIONS`. Otherwise it is pending until the address is confirmed. A stranger
    can learn nothing about the address from that, and can't keep its owner from requesting another.
    """
    parameters = {"email": request.email, "confirmed": confirmed, "timezone": request.timezone, "now": now}
    user_id = connection.execute(statement("alerts/users/find_or_add_user"), parameters).scalar_one()
    wanted = {
        **asdict(request.rule),
        "user_id": user_id,
        "instrument_id": request.instrument.instrument_id,
        "status": "active" if confirmed else "pending",
        "now": now,
    }
    existed = False
    added = connection.execute(statement("alerts/subscriptions/add_subscription"), wanted).scalar_one_or_none()
    if added is None:
        same = connection.execute(statement("alerts/subscriptions/find_same_subscription"), wanted).one()
        existed = same.status != "pending"
        added = same.id
        if confirmed and not existed:
            confirmation = {"user_id": user_id, "ids": [added], "now": now}
            connection.execute(statement("alerts/subscriptions/confirm"), confirmation)
    if confirmed and not existed:
        check_number(connection, user_id)
    elif not confirmed:
        connection.execute(statement("alerts/subscriptions/renew_pending"), {"id": added, "now": now})
        pending = {"user_id": user_id, "limit": MAX_PENDING}
        connection.execute(statement("alerts/subscriptions/delete_surplus_pending"), pending)
    connection.execute(statement("alerts/subscriptions/start_watermark"), wanted)
    return subscription_in(connection, added), existed


def confirm(
    engine: Engine, user_id: int, now: datetime, subscription_ids: Collection[int] | None = None
) -> list[Subscription]:
    """Confirm a user's address and activate their pending subscriptions, or only the given ones; return those.

    Confirming again changes nothing. Raises TooManySubscriptions.
    """
    ids = None if subscription_ids is None else list(subscription_ids)
    with transaction(engine) as connection:
        parameters = {"user_id": user_id, "ids": ids, "now": now}
        confirmed = set(connection.execute(statement("alerts/subscriptions/confirm"), parameters).scalars())
        if confirmed:
            check_number(connection, user_id)
        return [own for own in subscriptions_of(connection, user_id) if own.id in confirmed]


def list_pending(engine: Engine, user_id: int) -> list[Subscription]:
    """Return a user's subscriptions that await confirmation, oldest first."""
    with transaction(engine) as connection:
        return [own for own in subscriptions_of(connection, user_id) if own.status == "pending"]


def unsubscribe(engine: Engine, subscription_id: int, *, actor: Actor | None = None) -> Subscription:
    """End a subscription; ending it again changes nothing. Raises NotFound."""
    with transaction(engine) as connection:
        connection.execute(statement("alerts/subscriptions/unsubscribe"), {"id": subscription_id})
        ended = subscription_in(connection, subscription_id)
        record(connection, actor, "subscription.end", subscription_id)
        return ended


def list_subscriptions(
    engine: Engine, email: str | None = None, *, after_id: int | None = None, limit: int | None = None
) -> list[Subscription]:
    """Return all subscriptions, or those of one address, oldest first: at most ``limit`` of those after an id."""
    with transaction(engine) as connection:
        address = None if email is None else normalize_address(email)
        return _select(connection, email=address, after_id=after_id, limit=limit)


def list_own_subscriptions(engine: Engine, user_id: int, subscription_ids: Collection[int]) -> list[Subscription]:
    """Return those of the given subscriptions that exist and are the user's, oldest first."""
    with transaction(engine) as connection:
        return [own for own in subscriptions_of(connection, user_id) if own.id in subscription_ids]


def get_subscription(engine: Engine, subscription_id: int) -> Subscription:
    """Return a subscription. Raises NotFound."""
    with transaction(engine) as connection:
        return subscription_in(connection, subscription_id)


def subscription_in(connection: Connection, subscription_id: int) -> Subscription:
    """``get_subscription`` within a transaction."""
    found = _select(connection, subscription_id=subscription_id)
    if not found:
        raise NotFound(f"There is no subscription {subscription_id}.")
    return found[0]


def subscriptions_of(connection: Connection, user_id: int, subscription_id: int | None = None) -> list[Subscription]:
    """Return a user's subscriptions, or only the one with this id, oldest first."""
    return _select(connection, user_id=user_id, subscription_id=subscription_id)


def check_address(email: str) -> str:
    """Return the address as it is stored (coinwatch/addresses.py). Raises InvalidRequest if it is not valid."""
    try:
        return parse_address(email)
    except ValueError as error:
        raise InvalidRequest("email", f"Enter a valid email address. {error}") from None


def check_number(connection: Connection, user_id: int) -> None:
    """Called after activating a subscription: raises TooManySubscriptions if the user has more than the maximum.

    Messages with the number are only for operators and for whoever has a link to the address.
    """
    parameters = {"user_id": user_id}
    number = connection.execute(statement("alerts/subscriptions/count_confirmed"), parameters).scalar_one()
    if number > MAX_SUBSCRIPTIONS:
        raise TooManySubscriptions(
            "email",
            f"An address can have up to {MAX_SUBSCRIPTIONS} alerts, and this would be {number}. Delete or end some of "
            "them first.",
        )


def _select(
    connection: Connection,
    *,
    subscription_id: int | None = None,
    user_id: int | None = None,
    email: str | None = None,
    after_id: int | None = None,
    limit: int | None = None,
) -> list[Subscription]:
    parameters = {"id": subscription_id, "user_id": user_id, "email": email, "after_id": after_id, "limit": limit}
    rows = connection.execute(statement("alerts/subscriptions/select_subscriptions"), parameters).mappings()
    return [Subscription(**row) for row in rows]
