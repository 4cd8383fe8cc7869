"""What people do to their own subscriptions: change, pause, snooze, start again, delete."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from coinwatch.alerts.rules import Rule, check_rule, describe
from coinwatch.alerts.subscriptions import Subscription, subscriptions_of
from coinwatch.alerts.users import locked_user
from coinwatch.database import statement, transaction
from coinwatch.errors import AlreadyExists, InvalidRequest, NotFound

LONGEST_SNOOZE = timedelta(days=90)


def own_subscription(engine: Engine, user_id: int, subscription_id: int) -> Subscription:
    """One of a person's subscriptions; NotFound when it is none of theirs."""
    with transaction(engine) as connection:
        return _own(connection, user_id, subscription_id)


def owner_of(engine: Engine, subscription_id: int) -> int:
    """The person of a subscription; NotFound when there is none."""
    with transaction(engine) as connection:
        found = connection.execute(
            statement("alerts/subscriptions/find_owner"), {"id": subscription_id}
        ).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no subscription {subscription_id}.")
    return int(found)


def change_rule(engine: Engine, user_id: int, subscription_id: int, rule: Rule, now: datetime) -> Subscription:
    """Give a subscription another rule of its kind and metric, which judges only what is observed from now on.

    One that had ended begins again. Raises InvalidRequest, NotFound, and AlreadyExists when the person has that rule.
    """
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if (rule.kind, rule.metric) != (own.kind, own.metric):
            raise InvalidRequest("kind", "An alert keeps its kind; make a new one for another kind.")
        check_rule(rule, now)
        _refuse_twin(connection, own, rule)
        wanted = asdict(rule) | {"id": own.id, "user_id": user_id, "now": now}
        connection.execute(statement("alerts/subscriptions/change_rule"), wanted)
        return _own(connection, user_id, subscription_id)


def pause(engine: Engine, user_id: int, subscription_id: int) -> Subscription:
    """No alerts until it is resumed; pausing again changes nothing. InvalidRequest when it is not active; NotFound."""
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if own.status not in {"active", "paused"}:
            raise InvalidRequest("status", f"Only an active alert can be paused; this one is {own.status}.")
        connection.execute(statement("alerts/subscriptions/pause"), {"id": own.id, "user_id": user_id})
        return _own(connection, user_id, subscription_id)


def resume(
    engine: Engine, user_id: int, subscription_id: int, now: datetime, *, only_paused: bool = False
) -> Subscription:
    """Judge again from now on what is paused or has ended; the person's consent for what waits for it.

    ``only_paused`` is for others than the person: InvalidRequest unless it is paused (or active). Raises NotFound, and
    AlreadyExists when the person has the same rule anew.
    """
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if only_paused and own.status not in {"active", "paused"}:
            raise InvalidRequest("status", f"Subscription {own.id} is {own.status}; only its person can start it.")
        _refuse_twin(connection, own, own.rule)
        connection.execute(statement("alerts/subscriptions/resume"), {"id": own.id, "user_id": user_id, "now": now})
        connection.execute(statement("alerts/users/verify_user"), {"user_id": user_id, "now": now})
        return _own(connection, user_id, subscription_id)


def resume_all(engine: Engine, user_id: int, now: datetime) -> int:
    """Resume everything that is paused; how many."""
    with locked_user(engine, user_id) as connection:
        return connection.execute(
            statement("alerts/subscriptions/resume_all"), {"user_id": user_id, "now": now}
        ).rowcount


def snooze(engine: Engine, user_id: int, subscription_id: int, until: datetime | None, now: datetime) -> Subscription:
    """No alerts until a moment (aware); None wakes it at once. InvalidRequest when it is not active; NotFound."""
    if until is not None and not now < until <= now + LONGEST_SNOOZE:
        raise InvalidRequest("snoozed_until", f"An alert can sleep for up to {LONGEST_SNOOZE.days} days from now.")
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        if own.status != "active":
            raise InvalidRequest("snoozed_until", f"Only an active alert can sleep; this one is {own.status}.")
        connection.execute(statement("alerts/subscriptions/snooze"), {"id": own.id, "user_id": user_id, "until": until})
        return _own(connection, user_id, subscription_id)


def delete(engine: Engine, user_id: int, subscription_id: int) -> Subscription:
    """Remove a subscription with its alerts; what it was. Raises NotFound."""
    with locked_user(engine, user_id) as connection:
        own = _own(connection, user_id, subscription_id)
        connection.execute(statement("alerts/subscriptions/delete_subscription"), {"id": own.id, "user_id": user_id})
        return own


def unsubscribe_all(engine: Engine, user_id: int) -> int:
    """End everything; how many subscriptions that were."""
    with locked_user(engine, user_id) as connection:
        return connection.execute(statement("alerts/subscriptions/unsubscribe_all"), {"user_id": user_id}).rowcount


def _own(connection: Connection, user_id: int, subscription_id: int) -> Subscription:
    found = subscriptions_of(connection, user_id, subscription_id)
    if not found:
        raise NotFound("There is no such alert any more.")
    return found[0]


def _refuse_twin(connection: Connection, own: Subscription, rule: Rule) -> None:
    twin = connection.execute(
        statement("alerts/subscriptions/same_rule"), asdict(rule) | {"id": own.id}
    ).scalar_one_or_none()
    if twin is not None:
        words = describe(rule, own.quote, own.base)
        raise AlreadyExists(f"You have another alert for {own.base}/{own.quote} when {words}: number {twin}.")
