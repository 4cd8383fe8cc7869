"""Creates subscriptions, for the form and the API."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fastapi import BackgroundTasks
from sqlalchemy import Engine

from coinwatch.access.rate_limits import NEW_SUBSCRIPTIONS
from coinwatch.alerts.rules import Rule, check_rule
from coinwatch.alerts.sessions import Session
from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest
from coinwatch.audit import Actor
from coinwatch.database import transaction
from coinwatch.errors import AlreadyExists, Problems
from coinwatch.notifications.subscribe import Subscribed, subscribe, subscribe_all
from coinwatch.prices.catalog import FoundInstrument, find_instrument
from coinwatch.web.dependencies import Site
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.schemas.forms import BacktestForm, SubscriptionForm
from coinwatch.web.services.alert_form.complete_validation import instrument_field
from coinwatch.web.services.requested_emails import send_requested_emails


def build_request(engine: Engine, form: SubscriptionForm, now: datetime) -> SubscriptionRequest:
    """Look up the form's instrument, and validate its rule. Raises the same errors as :func:`find_watched`."""
    return SubscriptionRequest(form.email, *find_watched(engine, form, now))


def find_watched(engine: Engine, form: BacktestForm, now: datetime) -> tuple[FoundInstrument, Rule]:
    """Look up the form's instrument, and validate its rule.

    Raises InvalidRequest with all invalid fields, and NotFound if only the instrument is unknown.
    """
    problems = Problems()
    with problems.collecting(instrument_field(form.model_dump())), transaction(engine) as connection:
        instrument = find_instrument(connection, form.coin, form.exchange, form.quote)
    with problems.collecting():
        rule = form.rule()
        check_rule(rule, now)
    problems.raise_any()
    return instrument, rule


def create_subscription(
    site: Site,
    request: SubscriptionRequest,
    visitor: Visitor | None,
    client: str,
    background: BackgroundTasks,
    session: Session | None = None,
    actor: Actor | None = None,
) -> Subscription | None:
    """Create a subscription.

    For an operator, an API key that may do so, and the address of a ``session``, it is active immediately and returned.
    Otherwise the address is emailed a link to confirm it, after the response. None is returned whether or not the
    subscription existed, so that the response doesn't reveal which addresses are known.

    Raises TooManyRequests; for operators and in a session also TooManySubscriptions and AlreadyExists.
    """
    is_operator = visitor is not None and visitor.may("subscriptions:write")
    confirmed = is_operator or vouches_for(session, request.email)
    if is_operator:
        request = replace(request, timezone=None)  # the operator's own
    if not confirmed:
        site.check_limit(NEW_SUBSCRIPTIONS, client)
        background.add_task(send_requested_emails, site, request.email)
    try:
        subscription = subscribe(
            site.engine, request, now=site.clock(), confirmed=confirmed, actor=actor if is_operator else None
        )
    except AlreadyExists:
        if confirmed:
            raise
        return None
    return subscription if confirmed else None


def create_subscriptions(
    site: Site,
    requests: Sequence[SubscriptionRequest],
    visitor: Visitor | None,
    client: str,
    background: BackgroundTasks,
    session: Session | None = None,
    actor: Actor | None = None,
) -> Subscribed | None:
    """Create several subscriptions of one address, all or none, as ``create_subscription`` creates one.

    They count as one call, and are confirmed by one email. Those that exist already are not an error.
    """
    is_operator = visitor is not None and visitor.may("subscriptions:write")
    email = requests[0].email
    confirmed = is_operator or vouches_for(session, email)
    if is_operator:
        requests = [replace(request, timezone=None) for request in requests]
    if not confirmed:
        site.check_limit(NEW_SUBSCRIPTIONS, client)
        background.add_task(send_requested_emails, site, email)
    subscribed = subscribe_all(
        site.engine, requests, now=site.clock(), confirmed=confirmed, actor=actor if is_operator else None
    )
    return subscribed if confirmed else None


def vouches_for(session: Session | None, email: str) -> bool:
    """Whether a subscriber who is signed in owns the address and receives its email.

    A suppressed address has to be confirmed by email again, which shows that it works now.
    """
    return session is not None and not session.suppressed and session.email.lower() == email.lower()
