"""Commands about subscriptions; an operator's word confirms the address."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import typer

from coinwatch.alerts import subscription_changes as changes
from coinwatch.alerts import subscriptions as library
from coinwatch.cli.output import AsJson, show_json, show_table
from coinwatch.cli.rules import (
    CooldownOption,
    DirectionOption,
    ExchangeOption,
    KindOption,
    MetricOption,
    OnceOption,
    QuoteOption,
    WindowOption,
    make_rule,
)
from coinwatch.clock import utc_now
from coinwatch.database import get_engine, transaction
from coinwatch.notifications import subscribe as notifications
from coinwatch.prices.catalog import find_instrument

app = typer.Typer()

Number = Annotated[int, typer.Argument(help="The number that `coinwatch subscriptions` shows.")]


@app.command()
def subscribe(
    email: Annotated[str, typer.Argument(help="Who gets the mail.")],
    coin: Annotated[str, typer.Argument(help="The coin, by code or name: BTC or bitcoin.")],
    threshold: Annotated[float, typer.Argument(help="Percent: 5 or 0.5. For the kind crosses, the level.")],
    kind: KindOption = "change_since_last",
    window: WindowOption = None,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    direction: DirectionOption = "either",
    metric: MetricOption = "price",
    cooldown: CooldownOption = "0m",
    once: OnceOption = False,
    days: Annotated[float | None, typer.Option(min=0, max=36_500, help="End by itself after so many days.")] = None,
    as_json: AsJson = False,
) -> None:
    """Mail somebody when a price moves, deviates from its average, or crosses a level."""
    now = utc_now()
    rule = make_rule(kind, threshold, direction, metric, window, cooldown, once)
    rule = replace(rule, expires_at=now + timedelta(days=days) if days is not None else None)
    engine = get_engine()
    with transaction(engine) as connection:
        instrument = find_instrument(connection, coin, exchange, quote)
    request = library.SubscriptionRequest(email, instrument, rule)
    subscription = notifications.subscribe(engine, request, now=now, confirmed=True)
    if as_json:
        show_json(subscription)
    else:
        typer.echo(f"Subscription {subscription.id}: {_describe(subscription)}")


@app.command()
def unsubscribe(
    subscription_id: Number,
    as_json: AsJson = False,
) -> None:
    """End a subscription."""
    _show("Ended", library.unsubscribe(get_engine(), subscription_id), as_json)


@app.command()
def pause(subscription_id: Number, as_json: AsJson = False) -> None:
    """Silence a subscription until it is resumed."""
    engine = get_engine()
    changes.pause(engine, changes.owner_of(engine, subscription_id), subscription_id)
    _show("Paused", library.get_subscription(engine, subscription_id), as_json)


@app.command()
def resume(subscription_id: Number, as_json: AsJson = False) -> None:
    """Let a paused subscription judge again what comes from now on."""
    engine = get_engine()
    changes.resume(engine, changes.owner_of(engine, subscription_id), subscription_id, utc_now(), only_paused=True)
    _show("Resumed", library.get_subscription(engine, subscription_id), as_json)


@app.command()
def subscriptions(
    email: Annotated[str | None, typer.Option(help="Only those of this address.")] = None, as_json: AsJson = False
) -> None:
    """List subscriptions."""
    found = library.list_subscriptions(get_engine(), email)
    if as_json:
        show_json(found)
        return
    columns = {
        "id": lambda row: row.id,
        "address": lambda row: row.email,
        "rule": _rule,
        "status": lambda row: row.status,
        "since (UTC)": lambda row: row.created_at,
    }
    show_table(
        found, columns, right=("id",), empty="No subscriptions. Make one: coinwatch subscribe you@example.org BTC 5"
    )


def _show(done: str, row: library.Subscription, as_json: bool) -> None:
    if as_json:
        show_json(row)
    else:
        typer.echo(f"{done} subscription {row.id}: {_describe(row)}")


def _describe(row: library.Subscription) -> str:
    return f"{row.email}, {_rule(row)}, {row.status}"


def _rule(row: library.Subscription) -> str:
    return f"{row.base}/{row.quote} at {row.exchange}: {row.condition}"
