"""Changes subscriptions: edit, pause, resume, snooze, delete."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from coinwatch.alerts.rules import Rule, check_rule, describe
from coinwatch.alerts.subscriptions import Subscription, check_number, subscriptions_of
from coinwatch.alerts.users import locked_user
from coinwatch.audit import Actor, record
from coinwatch.database import statement, transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound
from coinwatch.prices.catalog import FoundInstrument

MAX_SNOOZE = timedelta(days=90)
ENDED = ("ended", "expired", "unsubscribed")


def get_own_subscription(engine: Engine, user_id: int, subscription_id: int) -> Subscription:
    """Return one of a user's subscriptions. Raises NotFound if it is not theirs."""
    with transaction(engine) as connection:
        return _own(connection, user_id, subscription_id)


def get_owner_id(engine: Engine, subscription_id: int) -> int:
    """Return the id of a subscription's user. Raises NotFound."""
    with transaction(engine) as connection:
        query = statement("alerts/subscriptions/find_owner")
        found = connection.execute(query, {"id": subscription_id}).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no subscription {subscription_id}.")
    return int(found)


def change_rule(
    engine: Engine,
    user_id: int,
    subscription_id: int,
    rule: Rule,
    now: datetime,
    *,
    instrument: FoundInstrument | None = None,
    actor: Actor | None = None,
) -> Subscription:
    """Replace a subscription's rule, and its ``instrument`` if given, for quotes observed from now on.

    An ended subscription becomes active again. If alerts have fired, and the new rule is about another instrument or
    metric, the subscription ends and a new one takes its place: the history must not show old prices as another
    instrument's. Returns the subscription that has the new rule.

    Raises InvalidRequest (TooManySubscriptions if it becomes active and exceeds the maximum), NotFound, and
    AlreadyExists if the user has another subscription with this rule.
    """
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        check_rule(rule, now)
        watched = instrument or FoundInstrument(own.instrument_id, own.exchange, own.base, own.quote)
        _reject_duplicate(connection, own, watched, rule)
        parameters = {
            **asdict(rule),
            "id": own.id,
            "user_id": user_id,
            "instrument_id": watched.instrument_id,
            "status": "active" if own.status in ENDED else own.status,
            "now": now,
        }
        if own.alerts and (watched.instrument_id, rule.metric) != (own.instrument_id, own.metric):
            connection.execute(statement("alerts/subscriptions/unsubscribe"), {"id": own.id})
            changed_id = connection.execute(statement("alerts/subscriptions/add_subscription"), parameters).scalar_one()
        else:
            connection.execute(statement("alerts/subscriptions/change_rule"), parameters)
            changed_id = own.id
        connection.execute(statement("alerts/subscriptions/start_watermark"), parameters)
        if own.status in ENDED:
            check_number(connection, user_id)
        changed = _own(connection, user_id, changed_id)
        record(connection, actor, "subscription.change", own.id, before=own.condition, after=changed.condition)
        return changed


def pause(engine: Engine, user_id: int, subscription_id: int, *, actor: Actor | None = None) -> Subscription:
    """Pause an active subscription; pausing again changes nothing. Raises InvalidRequest if it is not active,
    NotFound."""
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if own.status not in {"active", "paused"}:
            raise InvalidRequest("status", f"Only an active alert can be paused; this one is {own.status}.")
        connection.execute(statement("alerts/subscriptions/pause"), {"id": own.id, "user_id": user_id})
        record(connection, actor, "subscription.pause", own.id)
        return _own(connection, user_id, subscription_id)


def resume(
    engine: Engine,
    user_id: int,
    subscription_id: int,
    now: datetime,
    *,
    only_paused: bool = False,
    actor: Actor | None = None,
) -> Subscription:
    """Activate a subscription that is paused, has ended or awaits confirmation, for quotes observed from now on.

    ``only_paused`` is for operators: InvalidRequest unless it is paused (or active). Raises NotFound, AlreadyExists if
    the user has created the same subscription in the meantime, and TooManySubscriptions.
    """
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if only_paused and own.status not in {"active", "paused"}:
            raise InvalidRequest(
                "status", f"Subscription {own.id} is {own.status}; only its subscriber can restart it."
            )
        watched = FoundInstrument(own.instrument_id, own.exchange, own.base, own.quote)
        _reject_duplicate(connection, own, watched, own.rule)
        parameters = {"id": own.id, "user_id": user_id, "now": now}
        connection.execute(statement("alerts/subscriptions/resume"), parameters)
        if own.status == "pending" or own.status in ENDED:
            check_number(connection, user_id)
        connection.execute(statement("alerts/users/verify_user"), {"user_id": user_id, "now": now})
        record(connection, actor, "subscription.resume", own.id)
        return _own(connection, user_id, subscription_id)


def pause_all(engine: Engine, user_id: int) -> int:
    """Pause all active subscriptions of a user; return their number. Raises NotFound."""
    with locked_user(engine, user_id) as connection:
        return connection.execute(statement("alerts/subscriptions/pause_all"), {"user_id": user_id}).rowcount


def resume_all(engine: Engine, user_id: int, now: datetime) -> int:
    """Resume all paused subscriptions of a user; return their number. Raises NotFound."""
    with locked_user(engine, user_id) as connection:
        parameters = {"user_id": user_id, "now": now}
        return connection.execute(statement("alerts/subscriptions/resume_all"), parameters).rowcount


def snooze(
    engine: Engine,
    user_id: int,
    subscription_id: int,
    until: datetime | None,
    now: datetime,
    *,
    actor: Actor | None = None,
) -> Subscription:
    """Silence an active subscription until a time (aware); None ends the snooze.

    Raises NotFound, and InvalidRequest if it is not active or ``until`` is in the past or too far in the future.
    """
    if until is not None and not now < until <= now + MAX_SNOOZE:
        raise InvalidRequest("snoozed_until", f"An alert can be snoozed for up to {MAX_SNOOZE.days} days.")
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if own.status != "active":
            raise InvalidRequest("snoozed_until", f"Only an active alert can be snoozed; this one is {own.status}.")
        parameters = {"id": own.id, "user_id": user_id, "until": until}
        connection.execute(statement("alerts/subscriptions/snooze"), parameters)
        record(connection, actor, "subscription.snooze", own.id, until=until)
        return _own(connection, user_id, subscription_id)


def delete(engine: Engine, user_id: int, subscription_id: int) -> Subscription:
    """Delete a subscription with its alerts; return the deleted subscription. Raises NotFound."""
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        connection.execute(statement("alerts/subscriptions/delete_subscription"), {"id": own.id, "user_id": user_id})
        return own


def unsubscribe_all(engine: Engine, user_id: int) -> int:
    """End all subscriptions of a user; return their number. Raises NotFound."""
    with locked_user(engine, user_id) as connection:
        return connection.execute(statement("alerts/subscriptions/unsubscribe_all"), {"user_id": user_id}).rowcount


def _own(connection: Connection, user_id: int, subscription_id: int) -> Subscription:
    found = subscriptions_of(connection, user_id, subscription_id)
    if not found:
        raise NotFound("This alert doesn't exist. It may have been deleted.")
    return found[0]


def _reject_duplicate(connection: Connection, own: Subscription, instrument: FoundInstrument, rule: Rule) -> None:
    """Raise AlreadyExists if another running subscription of the user has this instrument and rule."""
    wanted = {**asdict(rule), "user_id": own.user_id, "instrument_id": instrument.instrument_id}
    same = connection.execute(statement("alerts/subscriptions/find_same_subscription"), wanted).one_or_none()
    if same is not None and same.id != own.id:
        condition = describe(rule, instrument.quote, instrument.base)
        raise AlreadyExists(f"You already have an alert for {instrument.pair} when {condition} (alert {same.id}).")
