"""Query the stored history: candles, price, compare, changes, movers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from coinwatch.cli.output import AsJson, ago, percent, show_json, show_table
from coinwatch.cli.parsing import parse_duration, parse_time
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import NotFound
from coinwatch.formatting import format_amount, format_percent, format_price, format_timestamp
from coinwatch.prices.candles.series import CandleSeries, read_candle_coverage, read_candles
from coinwatch.prices.history import as_of, movers
from coinwatch.prices.history.as_of import ExchangePrice
from coinwatch.prices.history.movers import CoinChanges
from coinwatch.settings import get_settings
from coinwatch.time_range import parse_time_zone

app = typer.Typer()

PRICES = ("open", "high", "low", "close")

Coin = Annotated[str, typer.Argument(help="Coin code or name, for example BTC or bitcoin.")]
Exchange = Annotated[str | None, typer.Option(help="Exchange code, for example kraken. Default: the index.")]
Quote = Annotated[str | None, typer.Option(help="Quote currency, for example USDT.")]
TimeZone = Annotated[str, typer.Option(help="Time zone, for example Europe/Berlin.")]


@app.command(name="candles")
def show_candles(
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    resolution: Annotated[str, typer.Option(help="1m, 5m, 15m, 1h, 4h, 1d, 1w (starts on Monday) or 1M.")] = "1h",
    last: LastOption = None,
    start: FromOption = None,
    end: ToOption = None,
    timezone: TimeZone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show the candles of a coin, oldest first.

    By default the last 500. Candles of a day or more start at midnight in --timezone.
    """
    now, zone = utc_now(), parse_time_zone(timezone)
    since, until = parse_period(last, start, end, now, zone)
    found = read_candles(
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
        f"{found.base}/{found.quote} at {found.exchange}: {found.resolution} candles, prices in {found.quote}, "
        f"volume in {found.base}"
    )
    columns = {
        "opened": lambda record: format_timestamp(record["opened_at"], zone, "minutes"),
        **{name: _price_of(name) for name in PRICES},
        "volume": lambda record: None if record["volume"] is None else format_amount(record["volume"]),
        "source": lambda record: record["source"],
        "": lambda record: "" if record["complete"] else "incomplete",
    }
    show_table(found.records(), columns, right=(*PRICES, "volume"), empty="")


@app.command()
def price(
    coin: Coin,
    at: Annotated[str, typer.Option(help="Time (ISO 8601), for example 2026-01-31T12:00.")],
    exchange: Exchange = None,
    quote: Quote = None,
    within: Annotated[
        str, typer.Option(help="Maximum age of the price at that time, for example 30m, 24h or 7d.")
    ] = "1h",
    timezone: TimeZone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show the price of a coin at a point in time.

    This is the last price at or before that time or, if there is none, the close of the last candle.
    """
    zone = parse_time_zone(timezone)
    when = parse_time("at", at, zone)
    tolerance = parse_duration("within", within)
    found = as_of.read_price_at(get_engine(), coin, exchange, quote, moment=when, tolerance=tolerance)
    if as_json:
        show_json(found)
        return
    source = "observed" if found.kind == "prices" else f"close of the {found.kind} candle ending"
    typer.echo(
        f"{found.base}/{found.quote} at {found.exchange}: {format_price(found.price)} {found.quote}, {source}"
        f" {format_timestamp(found.observed_at, zone)}"
    )


@app.command()
def compare(
    coin: Coin,
    quote: Annotated[str | None, typer.Option(help="Quote currency. Default: USD, USDT and USDC together.")] = None,
    at: Annotated[str | None, typer.Option(help="Time (ISO 8601). Default: now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the price of a coin across exchanges.

    Shows how far each exchange is from the median.
    """
    when = parse_time("at", at) if at else utc_now()
    fresh = max(as_of.FRESH, _fresh())
    found = as_of.compare_exchange_prices(get_engine(), coin, quote, moment=when, fresh=fresh)
    if as_json:
        show_json(found)
        return
    median = "no recent price" if found.median is None else f"median {format_price(found.median)}"
    typer.echo(f"{found.base} in {', '.join(found.quotes)} at {format_timestamp(when)}: {median}")
    columns = {
        "exchange": lambda row: row.exchange,
        "price": lambda row: format_price(row.price),
        "currency": lambda row: row.quote,
        "from median": lambda row: percent(row.deviation_percent),
        "spread": lambda row: None if row.spread_percent is None else format_percent(row.spread_percent, decimals=3),
        "observed": lambda row: ago(row.observed_at, when),
        "": _remark,
    }
    empty = f"No exchange has a price of {found.base} for that day."
    show_table(found.prices, columns, right=("price", "from median", "spread"), empty=empty)


@app.command()
def changes(exchange: Exchange = None, as_json: AsJson = False) -> None:
    """Show the price changes of all coins.

    Compares over an hour, a day, a week and 30 days.
    """
    found = movers.read_changes(get_engine(), now=utc_now(), exchange=exchange, fresh=max(movers.FRESH, _fresh()))
    if as_json:
        show_json(found)
        return
    columns = {
        "coin": lambda row: row.base,
        "price": lambda row: format_price(row.price),
        "currency": lambda row: row.quote,
    }
    windows = [_window(window) for window in movers.WINDOWS]
    columns |= {name: _change_over(index) for index, name in enumerate(windows)}
    show_table(found, columns, right=("price", *windows), empty="No recent prices. Run: coinwatch collect")


@app.command(name="movers")
def show_movers(
    window: Annotated[str, typer.Option(help="Period to compare over, for example 30m, 24h, 7d or 4w.")] = "24h",
    limit: Annotated[int, typer.Option(help="Maximum number of coins in each direction.")] = 10,
    exchange: Exchange = None,
    as_json: AsJson = False,
) -> None:
    """Show the biggest gainers and losers."""
    found = movers.read_movers(
        get_engine(),
        parse_duration("window", window),
        limit,
        now=utc_now(),
        exchange=exchange,
        fresh=max(movers.FRESH, _fresh()),
    )
    if as_json:
        show_json(found)
        return
    where = "in the index" if found.exchange == "index" else f"at {found.exchange}"
    typer.echo(f"{found.compared} coins compared {where} over {window}")
    columns = {
        "coin": lambda row: row.base,
        "change": lambda row: percent(row.change_percent),
        "price": lambda row: format_price(row.price),
        "before": lambda row: format_price(row.price_before),
        "currency": lambda row: row.quote,
    }
    for title, rows in (("Gainers", found.gainers), ("Losers", found.losers)):
        typer.echo(f"\n{title}:")
        show_table(rows, columns, right=("change", "price", "before"), empty="none")


def _head(found: CandleSeries) -> dict[str, object]:
    names = ("exchange", "base", "quote", "resolution", "timezone", "made_of")
    return {name: getattr(found, name) for name in names}


def _why_none(found: CandleSeries, since: datetime, until: datetime) -> str:
    """Explain which candles are missing, and where candles of the coin are available."""
    missing = (
        f"No {found.resolution} candles of {found.base}/{found.quote} at {found.exchange} from"
        f" {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} ({found.timezone})."
    )
    if found.made_of != found.resolution:
        missing += f" They are computed from {found.made_of} candles."
    available = [
        f"{row.exchange} has {found.base}/{row.quote} from {row.first_at:%Y-%m-%d} to {row.last_at:%Y-%m-%d}"
        for row in read_candle_coverage(get_engine(), found.base)
    ]
    return f"{missing} {'; '.join(available)}." if available else f"{missing} Fetch them with: coinwatch backfill"


def _price_of(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda record: format_price(record[name])


def _remark(row: ExchangePrice) -> str:
    remarks = ["simulated"] if row.simulated else []
    remarks += [] if row.fresh else ["not recent"]
    remarks += [] if row.kind == "prices" else [f"close of a {row.kind} candle"]
    return ", ".join(remarks)


def _change_over(index: int) -> Callable[[CoinChanges], str | None]:
    return lambda row: percent(row.changes_percent[index])


def _window(window: timedelta) -> str:
    return f"{window.days} d" if window >= timedelta(days=2) else f"{window / timedelta(hours=1):g} h"


def _fresh() -> timedelta:
    """The maximum age of a recent price, given how often prices are collected."""
    return timedelta(seconds=get_settings().quote_gauge_max_age_seconds)
