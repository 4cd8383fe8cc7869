"""Commands that look into the stored history: candles, price, compare, changes, movers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from coinwatch.cli.output import AsJson, ago, percent, show_json, show_table
from coinwatch.cli.parsing import duration, moment
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import NotFound
from coinwatch.formatting import format_amount, format_percent, format_price
from coinwatch.prices.candles.series import CandleSeries, candles, holdings
from coinwatch.prices.candles.time_grid import time_zone
from coinwatch.prices.history import as_of as moments
from coinwatch.prices.history import movers
from coinwatch.prices.history.as_of import ExchangePrice
from coinwatch.prices.history.movers import CoinChanges
from coinwatch.settings import get_settings

app = typer.Typer()

PRICES = ("open", "high", "low", "close")

Coin = Annotated[str, typer.Argument(help="The coin, by code or name.")]
Exchange = Annotated[str | None, typer.Option(help="Exchange code, for example kraken; the index when left out.")]
Quote = Annotated[str | None, typer.Option(help="Currency, for example USDT.")]
TimeZone = Annotated[str, typer.Option(help="Time zone, for example Europe/Berlin.")]


@app.command(name="candles")
def show_candles(
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    resolution: Annotated[str, typer.Option(help="1m, 5m, 15m, 1h, 4h, 1d, 1w (from Monday) or 1M (month).")] = "1h",
    last: Annotated[str, typer.Option(help="How far back: 30m, 24h, 7d, 4w.")] = "7d",
    start: Annotated[
        str | None, typer.Option("--from", help="From this moment (ISO 8601) on instead of --last.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this moment; now when left out.")] = None,
    timezone: TimeZone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show candles (open, high, low, close, volume), oldest first; days and longer by the clock of a time zone."""
    now, zone = utc_now(), time_zone(timezone)
    until = moment("to", end, zone) if end else now
    since = moment("from", start, zone) if start else until - duration("last", last)
    found = candles(
        get_engine(),
        coin,
        exchange,
        quote,
        resolution=resolution,
        start=since,
        end=until,
        timezone=timezone,
        now=now,
        origins=True,
    )
    if as_json:
        show_json({**_head(found), "candles": found.records()})
        return
    if not found.candles:
        raise NotFound(_why_none(found, since, until))
    typer.echo(
        f"{found.base}/{found.quote} at {found.exchange}: {found.resolution} candles opened in {found.timezone} time,"
        f" prices in {found.quote}, volume in {found.base}"
    )
    columns = {
        "opened": lambda record: f"{record['opened_at'].astimezone(zone):%Y-%m-%d %H:%M}",
        **{name: _price_of(name) for name in PRICES},
        "volume": lambda record: None if record["volume"] is None else format_amount(record["volume"]),
        "source": lambda record: record["source"],
        "": lambda record: "" if record["complete"] else "not over yet",
    }
    show_table(found.records(), columns, right=(*PRICES, "volume"), empty="")


@app.command()
def price(
    coin: Coin,
    at: Annotated[str, typer.Option(help="The moment (ISO 8601), for example 2026-01-31T12:00.")],
    exchange: Exchange = None,
    quote: Quote = None,
    within: Annotated[str, typer.Option(help="How old it may be at that moment: 30m, 24h, 7d.")] = "1h",
    timezone: TimeZone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show what a coin cost at a moment: the last price before it, or the close of the last candle."""
    zone = time_zone(timezone)
    when = moment("at", at, zone)
    tolerance = duration("within", within)
    found = moments.price_at(get_engine(), coin, exchange, quote, moment=when, tolerance=tolerance)
    if as_json:
        show_json(found)
        return
    told = "observed" if found.kind == "prices" else f"close of the {found.kind} candle that ended"
    typer.echo(
        f"{found.base}/{found.quote} at {found.exchange}: {format_price(found.price)} {found.quote}, {told}"
        f" {found.observed_at.astimezone(zone):%Y-%m-%d %H:%M:%S} {found.observed_at.astimezone(zone).tzname()}"
    )


@app.command()
def compare(
    coin: Coin,
    quote: Annotated[str | None, typer.Option(help="Currency; USD, USDT and USDC as one when left out.")] = None,
    at: Annotated[str | None, typer.Option(help="At this moment (ISO 8601); now when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a coin's prices at all exchanges with their median."""
    when = moment("at", at) if at else utc_now()
    fresh = max(moments.FRESH, _fresh())
    found = moments.compare_exchanges(get_engine(), coin, quote, moment=when, fresh=fresh)
    if as_json:
        show_json(found)
        return
    usual = "no fresh price" if found.median is None else f"median {format_price(found.median)}"
    typer.echo(f"{found.base} in {', '.join(found.quotes)} at {when:%Y-%m-%d %H:%M:%S} UTC: {usual}")
    columns = {
        "exchange": lambda row: row.exchange,
        "price": lambda row: format_price(row.price),
        "in": lambda row: row.quote,
        "from median": lambda row: percent(row.deviation_percent),
        "spread": lambda row: None if row.spread_percent is None else format_percent(row.spread_percent, decimals=3),
        "observed": lambda row: ago(row.observed_at, when),
        "": _remark,
    }
    empty = f"No exchange has a price of {found.base} of that day."
    show_table(found.prices, columns, right=("price", "from median", "spread"), empty=empty)


@app.command()
def changes(exchange: Exchange = None, as_json: AsJson = False) -> None:
    """Show how far every coin moved in an hour, a day, a week and a month."""
    found = movers.changes(get_engine(), now=utc_now(), exchange=exchange, fresh=max(movers.FRESH, _fresh()))
    if as_json:
        show_json(found)
        return
    columns = {"coin": lambda row: row.base, "price": lambda row: format_price(row.price), "in": lambda row: row.quote}
    windows = [_window(window) for window in movers.WINDOWS]
    columns |= {name: _change_over(place) for place, name in enumerate(windows)}
    show_table(found, columns, right=("price", *windows), empty="No fresh prices. Run: coinwatch collect")


@app.command(name="movers")
def show_movers(
    window: Annotated[str, typer.Option(help="Compared with how long ago: 30m, 24h, 7d, 4w.")] = "24h",
    limit: Annotated[int, typer.Option(help="At most so many in each direction.")] = 10,
    exchange: Exchange = None,
    as_json: AsJson = False,
) -> None:
    """Show the coins that rose and fell most."""
    found = movers.movers(
        get_engine(),
        duration("window", window),
        limit,
        now=utc_now(),
        exchange=exchange,
        fresh=max(movers.FRESH, _fresh()),
    )
    if as_json:
        show_json(found)
        return
    where = "in the index" if found.exchange == "index" else f"at {found.exchange}"
    typer.echo(f"{found.compared} coins compared {where} with {window} ago")
    columns = {
        "coin": lambda row: row.base,
        "change": lambda row: percent(row.change_percent),
        "price": lambda row: format_price(row.price),
        "before": lambda row: format_price(row.price_before),
        "in": lambda row: row.quote,
    }
    for title, rows in (("Rose most", found.gainers), ("Fell most", found.losers)):
        typer.echo(f"\n{title}:")
        show_table(rows, columns, right=("change", "price", "before"), empty="none")


def _head(found: CandleSeries) -> dict[str, object]:
    names = ("exchange", "base", "quote", "resolution", "timezone", "made_of")
    return {name: getattr(found, name) for name in names}


def _why_none(found: CandleSeries, since: datetime, until: datetime) -> str:
    """A sentence on what is missing, and where there are candles of the coin."""
    none = (
        f"No {found.resolution} candles of {found.base}/{found.quote} at {found.exchange} open between"
        f" {since:%Y-%m-%d %H:%M} and {until:%Y-%m-%d %H:%M} ({found.timezone})."
    )
    if found.made_of != found.resolution:
        none += f" They are made of {found.made_of} candles."
    elsewhere = [
        f"{held.exchange} has {found.base}/{held.quote} from {held.first_at:%Y-%m-%d} to {held.last_at:%Y-%m-%d}"
        for held in holdings(get_engine(), found.base)
    ]
    return f"{none} {'; '.join(elsewhere)}." if elsewhere else f"{none} Fetch some with: coinwatch backfill"


def _price_of(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda record: format_price(record[name])


def _remark(row: ExchangePrice) -> str:
    words = ["simulated"] if row.simulated else []
    words += [] if row.fresh else ["too old to count"]
    words += [] if row.kind == "prices" else [f"close of a {row.kind} candle"]
    return ", ".join(words)


def _change_over(place: int) -> Callable[[CoinChanges], str | None]:
    return lambda row: percent(row.changes_percent[place])


def _window(window: timedelta) -> str:
    return f"{window.days} d" if window >= timedelta(days=2) else f"{window / timedelta(hours=1):g} h"


def _fresh() -> timedelta:
    """How old a price may be, with prices fetched as seldom as it is set."""
    return timedelta(seconds=get_settings().quote_gauge_max_age_seconds)
