"""Query the stored history: candles, price, compare, changes, movers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from coinwatch.cli.options import (
    AsJson,
    CoinArgument,
    ExchangeOption,
    FromOption,
    LastOption,
    QuoteOption,
    TimeZoneOption,
    ToOption,
)
from coinwatch.cli.output import ago, echo, percent, show_json, show_table
from coinwatch.cli.parsing import parse_period, parse_time
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import NotFound
from coinwatch.formatting import format_amount, format_percent, format_price, format_timestamp
from coinwatch.prices.candles.resolutions import WIDTHS, parse_resolution
from coinwatch.prices.candles.series import DEFAULT_CANDLES, CandleSeries, read_candle_coverage, read_candles
from coinwatch.prices.history import as_of, movers
from coinwatch.prices.history.as_of import ExchangePrice
from coinwatch.prices.history.movers import CoinChanges
from coinwatch.settings import get_settings
from coinwatch.time_range import parse_duration, parse_time_zone
from coinwatch.web.schemas.history import CandlesResponse, ChangesResponse

app = typer.Typer()

PRICES = ("open", "high", "low", "close")


@app.command(name="candles")
def show_candles(
    coin: CoinArgument,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    resolution: Annotated[str, typer.Option(help="1m, 5m, 15m, 1h, 4h, 1d, 1w (starts on Monday) or 1M.")] = "1h",
    last: LastOption = None,
    start: FromOption = None,
    end: ToOption = None,
    timezone: TimeZoneOption = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show the candles of a coin, oldest first.

    By default the last 500. Candles of a day or more start at midnight in --timezone.
    """
    now, zone = utc_now(), parse_time_zone(timezone)
    default = DEFAULT_CANDLES * WIDTHS[parse_resolution(resolution)]
    since, until = parse_period(last, start, end, now, default=default, zone=zone)
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
        show_json(CandlesResponse.plain(found))
        return
    if not found.candles:
        raise NotFound(_why_none(found, since, until))
    echo(
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
    coin: CoinArgument,
    at: Annotated[str, typer.Option(help="Time (ISO 8601), for example 2026-01-31T12:00.")],
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    within: Annotated[
        str, typer.Option(help="Maximum age of the price at that time, for example 30m, 24h or 7d.")
    ] = "1h",
    timezone: TimeZoneOption = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show the price of a coin at a point in time.

    This is the last price at or before that time or, if there is none, the close of the last candle.
    """
    zone = parse_time_zone(timezone)
    when = parse_time("at", at, zone)
    tolerance = parse_duration("--within", within)
    found = as_of.read_price_at(get_engine(), coin, exchange, quote, moment=when, tolerance=tolerance)
    if as_json:
        show_json(found)
        return
    source = "observed" if found.kind == "prices" else f"close of the {found.kind} candle, as of"
    echo(
        f"{found.base}/{found.quote} at {found.exchange}: {format_price(found.price)} {found.quote}, {source}"
        f" {format_timestamp(found.observed_at, zone)}"
    )


@app.command()
def compare(
    coin: CoinArgument,
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
    name = "demo price" if found.prices and all(price.simulated for price in found.prices) else "median"
    median = "no recent price" if found.median is None else f"{name} {format_price(found.median)}"
    echo(f"{found.base} in {', '.join(found.quotes)} at {format_timestamp(when)}: {median}")
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
def changes(exchange: ExchangeOption = None, as_json: AsJson = False) -> None:
    """Show the price changes of all coins.

    Compares over an hour, a day, a week and 30 days.
    """
    found = movers.read_changes(get_engine(), now=utc_now(), exchange=exchange, fresh=max(movers.FRESH, _fresh()))
    if as_json:
        show_json(ChangesResponse.create(found))
        return
    columns = {
        "coin": lambda row: row.base,
        "price": lambda row: format_price(row.price),
        "currency": lambda row: row.quote,
    }
    columns |= {name: _change_over(name) for name in movers.WINDOWS}
    show_table(found, columns, right=("price", *movers.WINDOWS), empty="No recent prices. Run: coinwatch collect")


@app.command(name="movers")
def show_movers(
    window: Annotated[str, typer.Option(help="Period to compare over, for example 30m, 24h, 7d or 4w.")] = "24h",
    limit: Annotated[
        int, typer.Option(min=1, max=movers.MAX_MOVERS, help="Maximum number of coins in each direction.")
    ] = 10,
    exchange: ExchangeOption = None,
    as_json: AsJson = False,
) -> None:
    """Show the biggest gainers and losers."""
    found = movers.read_movers(
        get_engine(),
        parse_duration("--window", window),
        limit,
        now=utc_now(),
        exchange=exchange,
        fresh=max(movers.FRESH, _fresh()),
    )
    if as_json:
        show_json(found)
        return
    where = "in the index" if found.exchange == "index" else f"at {found.exchange}"
    echo(f"{found.compared} coins compared {where} over {window}")
    columns = {
        "coin": lambda row: row.base,
        "change": lambda row: percent(row.change_percent),
        "price": lambda row: format_price(row.price),
        "before": lambda row: format_price(row.price_before),
        "currency": lambda row: row.quote,
    }
    for title, rows in (("Gainers", found.gainers), ("Losers", found.losers)):
        echo(f"\n{title}:")
        show_table(rows, columns, right=("change", "price", "before"), empty="none")


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


def _change_over(window: str) -> Callable[[CoinChanges], str | None]:
    return lambda row: percent(row.changes_percent[window])


def _fresh() -> timedelta:
    """The maximum age of a recent price, given how often prices are collected."""
    return timedelta(seconds=get_settings().quote_gauge_max_age_seconds)
