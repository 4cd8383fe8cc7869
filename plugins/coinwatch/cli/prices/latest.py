"""Show stored prices: prices, history."""

from typing import Annotated

import typer

from coinwatch.cli.options import (
    AsJson,
    CoinArgument,
    ExchangeFilter,
    ExchangeOption,
    FromOption,
    LastOption,
    QuoteOption,
    ToOption,
)
from coinwatch.cli.output import ago, echo, percent, show_json, show_table
from coinwatch.cli.parsing import parse_period
from coinwatch.clock import utc_now
from coinwatch.database import get_engine
from coinwatch.errors import NotFound
from coinwatch.formatting import format_price, format_timestamp
from coinwatch.prices.history.downsampling import POINTS_PER_BUCKET
from coinwatch.prices.history.latest import read_latest_prices
from coinwatch.prices.history.series import MAX_POINTS, read_series
from coinwatch.time_range import DAY

app = typer.Typer()


@app.command()
def prices(
    coin: Annotated[str | None, typer.Argument(help="Only this coin (code or name).")] = None,
    exchange: ExchangeFilter = None,
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
        "exchange": lambda row: f"{row.exchange} (demo prices)" if row.simulated else row.exchange,
        "price": lambda row: format_price(row.price),
        "currency": lambda row: row.quote,
        "24 h change": lambda row: percent(row.change_24h_percent),
        "observed": lambda row: ago(row.observed_at, now),
    }
    show_table(found, columns, right=("price", "24 h change"), empty="No prices yet. Run: coinwatch collect")


@app.command()
def history(
    coin: CoinArgument,
    exchange: ExchangeOption = None,
    quote: QuoteOption = None,
    last: LastOption = None,
    start: FromOption = None,
    end: ToOption = None,
    limit: Annotated[
        int, typer.Option(min=POINTS_PER_BUCKET, max=MAX_POINTS, help="Maximum number of prices; more are downsampled.")
    ] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the price history of a coin, oldest first.

    By default the last 24 hours.
    """
    since, until = parse_period(last, start, end, utc_now(), default=DAY)
    found = read_series(get_engine(), coin, exchange, quote, start=since, end=until, points=limit)
    if as_json:
        show_json(found.as_dict())
        return
    if not found.points:
        raise NotFound(
            f"No prices of {found.base}/{found.quote} at {found.exchange} from {format_timestamp(since)} to "
            f"{format_timestamp(until)}."
        )
    echo(f"{found.base}/{found.quote} at {found.exchange}")
    columns = {"observed": lambda point: point.observed_at, "price": lambda point: format_price(point.price)}
    show_table(found.points, columns, right=("price",), empty="")
    if found.downsampled:
        echo(f"Downsampled to {len(found.points)} prices that keep every high and low. For more, pass --limit.")
