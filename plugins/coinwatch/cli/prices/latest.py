"""Show stored prices: prices, history."""

from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, ago, percent, show_json, show_table
from coinwatch.cli.parsing import parse_duration, parse_time
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import NotFound
from coinwatch.formatting import format_price, format_timestamp
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.history.series import read_series

app = typer.Typer()

Exchange = Annotated[str | None, typer.Option(help="Exchange code, for example kraken. Default: the index.")]


@app.command()
def prices(
    coin: Annotated[str | None, typer.Argument(help="Only this coin (code or name).")] = None,
    exchange: Annotated[str | None, typer.Option(help="Only this exchange (code).")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest price of every instrument."""
    now = utc_now()
    found = read_latest_prices(get_engine(), now, coin, exchange)
    if as_json:
        show_json(found)
        return
    columns = {
        "coin": lambda row: row.base,
        "exchange": lambda row: row.exchange,
        "price": lambda row: format_price(row.price),
        "currency": lambda row: row.quote,
        "24 h change": lambda row: percent(row.change_24h_percent),
        "observed": lambda row: ago(row.observed_at, now),
    }
    show_table(found, columns, right=("price", "24 h change"), empty="No prices yet. Run: coinwatch collect")


@app.command()
def history(
    coin: Annotated[str, typer.Argument(help="Coin code or name, for example BTC or bitcoin.")],
    exchange: Exchange = None,
    quote: Annotated[str | None, typer.Option(help="Quote currency, for example USDT.")] = None,
    last: Annotated[str, typer.Option(help="Period up to now, for example 30m, 24h, 7d or 4w.")] = "24h",
    start: Annotated[
        str | None, typer.Option("--from", help="Start time (ISO 8601; UTC if it has no offset). Overrides --last.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End time. Default: now.")] = None,
    points: Annotated[int, typer.Option(help="Maximum number of prices.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the price history of a coin, oldest first."""
    until = parse_time("to", end) if end else utc_now()
    since = parse_time("from", start) if start else until - parse_duration("last", last)
    found = read_series(get_engine(), coin, exchange, quote, start=since, end=until, points=points)
    if as_json:
        show_json(found)
        return
    if not found.points:
        raise NotFound(
            f"No prices of {found.base}/{found.quote} at {found.exchange} from {format_timestamp(since)} to "
            f"{format_timestamp(until)}."
        )
    typer.echo(f"{found.base}/{found.quote} at {found.exchange}")
    columns = {"observed": lambda point: point.observed_at, "price": lambda point: format_price(point.price)}
    show_table(found.points, columns, right=("price",), empty="")
