"""Commands that show stored prices: prices, history."""

from typing import Annotated

import typer

from coinwatch.cli.output import AsJson, ago, percent, show_json, show_table
from coinwatch.cli.parsing import duration, moment
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import NotFound
from coinwatch.formatting import format_price
from coinwatch.prices.history.latest import LatestPrice, latest_prices, price_history

app = typer.Typer()

Exchange = Annotated[str | None, typer.Option(help="Exchange code, for example kraken; the index when left out.")]


@app.command()
def prices(
    coin: Annotated[str | None, typer.Argument(help="Only this coin, by code or name.")] = None,
    exchange: Annotated[str | None, typer.Option(help="Only this exchange, by code.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the latest price of everything watched."""
    now = utc_now()
    found = latest_prices(get_engine(), now, coin, exchange)
    if as_json:
        show_json(found)
        return
    columns = {
        "coin": lambda row: row.base,
        "exchange": lambda row: row.exchange,
        "price": lambda row: format_price(row.price),
        "in": lambda row: row.quote,
        "24 h": _change,
        "observed": lambda row: ago(row.observed_at, now),
    }
    show_table(found, columns, right=("price", "24 h"), empty="No prices yet. Run: coinwatch collect")


@app.command()
def history(
    coin: Annotated[str, typer.Argument(help="The coin, by code or name.")],
    exchange: Exchange = None,
    quote: Annotated[str | None, typer.Option(help="Currency, for example USDT.")] = None,
    last: Annotated[str, typer.Option(help="How far back: 30m, 24h, 7d, 4w.")] = "24h",
    start: Annotated[
        str | None, typer.Option(help="From this moment (ISO 8601, UTC without a zone) instead of --last.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="Up to this moment; now when left out.")] = None,
    points: Annotated[int, typer.Option(help="At most this many prices.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the stored prices of one coin, oldest first."""
    until = moment("end", end) if end else utc_now()
    since = moment("start", start) if start else until - duration("last", last)
    found = price_history(get_engine(), coin, exchange, quote, start=since, end=until, points=points)
    if as_json:
        show_json(found)
        return
    if not found.points:
        raise NotFound(f"No prices of {found.base}/{found.quote} at {found.exchange} between {since} and {until}.")
    typer.echo(f"{found.base}/{found.quote} at {found.exchange}, times in UTC")
    columns = {"observed": lambda point: point.observed_at, "price": lambda point: format_price(point.price)}
    show_table(found.points, columns, right=("price",), empty="")


def _change(row: LatestPrice) -> str | None:
    return percent(row.change_24h_percent)
