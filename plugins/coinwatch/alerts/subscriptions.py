"""A subscription's life: made, confirmed, ended."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from coinwatch.alerts.rules import Direction, Kind, Metric, Rule, check_rule, describe
from coinwatch.database import statement, transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound, TooManySubscriptions
from coinwatch.notifications.requested_emails import mail_manage_link, may_mail
from coinwatch.prices.catalog import find_instrument

# The form HTML gives for <input type=email> (https://html.spec.whatwg.org/#valid-e-mail-address): plain ASCII,
# nothing that could break out of a header or an SMTP command.
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{LABEL}(?:\.{LABEL})*")
ADDRESS_LENGTH = 254
MOST_SUBSCRIPTIONS = 100
CONSENT_WAITS = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One person's rule on one instrument; the rule's fields and units are those of ``Rule``."""

    id: int
    email: str
    exchange: str
    exchange_name: str
    base: str
    quote: str
    kind: Kind
    metric: Metric
    direction: Direction
    threshold: float
    window_seconds: int
    cooldown_seconds: int
    repeat: bool
    expires_at: datetime | None
    snoozed_until: datetime | None
    status: str
    created_at: datetime

    @property
    def condition(self) -> str:
        """The rule in words: "the price rises by 5 % or more within 1 hour"."""
        rule = Rule(self.kind, self.threshold, self.direction, self.metric, self.window_seconds)
        return describe(rule, self.quote, self.base)


def subscribe(
    engine: Engine,
    *,
    email: str,
    coin: str,
    rule: Rule,
    exchange: str | None = None,
    quote: str | None = None,
    now: datetime,
    confirmed: bool,
) -> Subscription:
    """Subscribe an address to a rule on one instrument.

    ``confirmed`` is an operator's word for the address and that it takes mail: the rule is active at once. Otherwise
    it is pending and one mail asks the address for its consent, also one that refused mail before.

    Raises InvalidRequest, NotFound, for strangers TooManySubscriptions beyond :data:`MOST_SUBSCRIPTIONS`, and
    AlreadyExists for a rule that the address has: where a stranger asked, it is mailed the link to its own page.
    """
    email = check_address(email)
    check_rule(rule, now)
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
        parameters = {"email": email, "confirmed": confirmed, "now": now}
        user_id = connection.execute(statement("alerts/subscriptions/find_or_add_user"), parameters).scalar_one()
        wanted = {
            **asdict(rule),
            "user_id": user_id,
            "instrument_id": instrument.instrument_id,
            "status": "active" if confirmed else "pending",
            "now": now,
        }
        added = connection.execute(statement("alerts/subscriptions/add_subscription"), wanted).scalar_one_or_none()
        if added is None:
            same = connection.execute(statement("alerts/subscriptions/same_subscription"), wanted).one()
            subscription = _get(connection, same.id)
            if same.status == "pending" and confirmed:
                connection.execute(statement("alerts/subscriptions/confirm"), {"id": same.id, "now": now})
                subscription = _get(connection, same.id)
            already = same.status != "pending"
        else:
            if not confirmed:
                _refuse_too_many(connection, user_id, now)
            subscription, already = _get(connection, added), False
        connection.execute(statement("alerts/subscriptions/start_watermark"), wanted)
        if not confirmed:
            (_tell_already if already else _ask_for_consent)(connection, user_id, subscription, now)
    if already:  # after the commit, which the mail needs
        raise AlreadyExists(
            f"This address already gets alerts for {instrument.pair} at {instrument.exchange} when "
            f"{subscription.condition}; it is subscription {subscription.id}."
        )
    return subscription


def confirm(engine: Engine, subscription_id: int, now: datetime) -> Subscription:
    """The person behind the address consents; confirming again changes nothing. Raises NotFound."""
    with transaction(engine) as connection:
        connection.execute(statement("alerts/subscriptions/confirm"), {"id": subscription_id, "now": now})
        subscription = _get(connection, subscription_id)
        if subscription.status == "unsubscribed":
            raise NotFound("This subscription has been ended; make a new one to get alerts again.")
        return subscription


def unsubscribe(engine: Engine, subscription_id: int) -> Subscription:
    """End a subscription; ending it again changes nothing. Raises NotFound."""
    with transaction(engine) as connection:
        connection.execute(statement("alerts/subscriptions/unsubscribe"), {"id": subscription_id})
        return _get(connection, subscription_id)


def ask_again(connection: Connection, user_id: int, now: datetime) -> None:
    """Ask for consent to the newest subscription of a person that still waits for it, if there is one."""
    newest = connection.execute(
        statement("alerts/subscriptions/newest_pending"), {"user_id": user_id}
    ).scalar_one_or_none()
    if newest is not None:
        _ask_for_consent(connection, user_id, _get(connection, newest), now)


def list_subscriptions(engine: Engine, email: str | None = None) -> list[Subscription]:
    """All subscriptions, oldest first, or those of one address."""
    with transaction(engine) as connection:
        rows = connection.execute(
            statement("alerts/subscriptions/subscriptions"), {"id": None, "email": email}
        ).mappings()
        return [Subscription(**row) for row in rows]


def get_subscription(engine: Engine, subscription_id: int) -> Subscription:
    """One subscription; NotFound when there is none."""
    with transaction(engine) as connection:
        return _get(connection, subscription_id)


def check_address(email: str) -> str:
    """The address without surrounding blanks; InvalidRequest when no mail could go there safely."""
    address = email.strip(" ")
    if len(address) > ADDRESS_LENGTH or not ADDRESS.fullmatch(address):
        raise InvalidRequest(
            "email", "That is not an e-mail address we can write to. It should look like name@example.org."
        )
    return address


def _refuse_too_many(connection: Connection, user_id: int, now: datetime) -> None:
    parameters = {"user_id": user_id, "asked_since": now - CONSENT_WAITS}
    if connection.execute(statement("alerts/subscriptions/count_living"), parameters).scalar_one() > MOST_SUBSCRIPTIONS:
        raise TooManySubscriptions(
            "email",
            f"This address has {MOST_SUBSCRIPTIONS} alerts, the most it may have. End one of them first; the page "
            "“My alerts” mails you the link to them.",
        )


def _tell_already(connection: Connection, user_id: int, subscription: Subscription, now: datetime) -> None:
    """Queue the link to the person's page with a word about the rule that somebody asked for again."""
    mail_manage_link(
        connection,
        user_id,
        subscription.email,
        now,
        reason="already",
        condition=subscription.condition,
        pair=f"{subscription.base}/{subscription.quote}",
    )


def _ask_for_consent(connection: Connection, user_id: int, subscription: Subscription, now: datetime) -> None:
    """Queue the confirmation mail, unless this address has had its share of them."""
    if not may_mail(connection, subscription.email, now):
        return
    payload = {
        "subscription_id": subscription.id,
        "pair": f"{subscription.base}/{subscription.quote}",
        "exchange": subscription.exchange,
        "exchange_name": subscription.exchange_name,
        "condition": subscription.condition,
    }
    connection.execute(
        statement("notifications/outbox/queue_confirmation"),
        {
            "subscription_id": str(subscription.id),
            "user_id": user_id,
            "recipient": subscription.email,
            "payload": json.dumps(payload),
            "now": now,
        },
    )


def _get(connection: Connection, subscription_id: int) -> Subscription:
    parameters = {"id": subscription_id, "email": None}
    row = connection.execute(statement("alerts/subscriptions/subscriptions"), parameters).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no subscription {subscription_id}.")
    return Subscription(**row)
