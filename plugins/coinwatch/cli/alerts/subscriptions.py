"""Manage subscriptions: subscribe, unsubscribe, pause, resume, list. The operator vouches for the address."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.addresses import display_address
from coinwatch.alerts import subscription_changes
from coinwatch.alerts import subscriptions as alerts
from coinwatch.alerts.subscriptions import Subscription, SubscriptionRequest
from coinwatch.audit import command_line_actor
from coinwatch.cli.alerts.rule_options import (
    CommandWithNegativeNumbers,
    CooldownOption,
    DirectionOption,
    KindOption,
    LadderOption,
    LevelOption,
    MetricOption,
    OnceOption,
    PeriodOption,
    ThresholdArgument,
    ThresholdOption,
    WindowOption,
    parse_rule,
)
from coinwatch.cli.options import AsJson, CoinArgument, ExchangeOption, QuoteOption
from coinwatch.cli.output import echo, short_address, show_json, show_table
from coinwatch.clock import utc_now
from coinwatch.database import get_engine, transaction
from coinwatch.notifications import subscribe as notifications
from coinwatch.prices.catalog import find_instrument
from coinwatch.web.schemas.subscriptions import SubscriptionResponse

app = typer.Typer()

Id = Annotated[int, typer.Argument(help="Id of the subscription, as `coinwatch subscriptions` lists it.")]


@app.command(cls=CommandWithNegativeNumbers)
def subscribe(
    email: Annotated[str, typer.Argument(help="Email address to notify.")],
    coin: CoinArgument,
    threshold: ThresholdArgument = None,
    threshold_option: ThresholdOption = None,
    level: LevelOption = None,
    kind: KindOption = None,
    window: WindowOption = None,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    direction: DirectionOption = "either",
    metric: MetricOption = "price",
    period: PeriodOption = None,
    ladder: LadderOption = None,
    cooldown: CooldownOption = None,
    once: OnceOption = False,
    days: Annotated[float | None, typer.Option(min=0, max=36_500, help="End after this many days.")] = None,
    as_json: AsJson = False,
) -> None:
    """Create an alert for an email address.

    By default it fires when the price changes by 5% within an hour, at most once an hour. It is active immediately: the
    address is not asked to confirm.
    """
    now, engine = utc_now(), get_engine()
    rule = parse_rule(
        threshold,
        threshold_option,
        level,
        kind,
        direction,
        metric,
        window,
        cooldown,
        once=once,
        period=period,
        ladder=ladder,
    )
    rule = replace(rule, expires_at=now + timedelta(days=days) if days is not None else None)
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
    request = SubscriptionRequest.create(email, instrument, rule, now)
    _show(
        "Created",
        notifications.subscribe(engine, request, now=now, confirmed=True, actor=command_line_actor(now)),
        as_json,
    )


@app.command()
def unsubscribe(subscription_id: Id, as_json: AsJson = False) -> None:
    """End a subscription."""
    _show("Ended", alerts.unsubscribe(get_engine(), subscription_id, actor=command_line_actor(utc_now())), as_json)


@app.command()
def pause(subscription_id: Id, as_json: AsJson = False) -> None:
    """Pause a subscription until it is resumed."""
    engine = get_engine()
    owner = subscription_changes.get_owner_id(engine, subscription_id)
    subscription_changes.pause(engine, owner, subscription_id, actor=command_line_actor(utc_now()))
    _show("Paused", alerts.get_subscription(engine, subscription_id), as_json)


@app.command()
def resume(subscription_id: Id, as_json: AsJson = False) -> None:
    """Resume a paused subscription."""
    engine = get_engine()
    owner = subscription_changes.get_owner_id(engine, subscription_id)
    now = utc_now()
    subscription_changes.resume(engine, owner, subscription_id, now, only_paused=True, actor=command_line_actor(now))
    _show("Resumed", alerts.get_subscription(engine, subscription_id), as_json)


@app.command()
def subscriptions(
    email: Annotated[str | None, typer.Option(help="Only subscriptions of this address.")] = None,
    as_json: AsJson = False,
) -> None:
    """List subscriptions."""
    found = alerts.list_subscriptions(get_engine(), email)
    if as_json:
        show_json([SubscriptionResponse.create(row) for row in found])
        return
    columns = {
        "id": lambda row: row.id,
        "address": lambda row: short_address(row.email),
        "rule": _describe_rule,
        "status": lambda row: row.status,
        "created": lambda row: row.created_at,
    }
    empty = "No subscriptions. Create one with: coinwatch subscribe you@example.org BTC 5"
    show_table(found, columns, right=("id",), empty=empty)


def _show(done: str, row: Subscription, as_json: bool) -> None:
    if as_json:
        show_json(SubscriptionResponse.create(row))
    else:
        echo(f"{done} subscription {row.id}: {display_address(row.email)}, {_describe_rule(row)}, {row.status}")


def _describe_rule(row: Subscription) -> str:
    return f"{row.base}/{row.quote} at {row.exchange}: {row.condition}"
