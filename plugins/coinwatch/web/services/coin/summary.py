"""The figures above the chart of the coin page."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from coinwatch.prices.history.markets import MarketPrice, read_references
from coinwatch.web.services.choices import Market
from coinwatch.web.services.coin.chart_data import CoinChart
from coinwatch.web.services.coin.view import RANGES, CoinView


@dataclass(frozen=True, slots=True)
class CoinSummary:
    """The change over the shown range in percent, and its lowest and highest price in the quote currency."""

    change_percent: float
    low: float
    high: float


def price_of(prices: Sequence[MarketPrice], market: Market) -> MarketPrice | None:
    """The price of a market; None if it has none yet."""
    return next((each for each in prices if (each.exchange, each.quote) == (market.exchange, market.quote)), None)


def summarize(
    engine: Engine, view: CoinView, chart: CoinChart, latest: MarketPrice | None, *, whole: bool
) -> CoinSummary:
    """The figures of a chart with at least one candle.

    The change over a range such as "24h" is that of the overview: from the price at its start to the newest one. That
    over a custom range, or over less than the ``whole`` range, is the change between its first and last candle.
    """
    candles = chart.known
    first, last = candles[0].open, candles[-1].close
    if latest and whole and view.range in RANGES:
        windows = {view.range: RANGES[view.range][1]}
        reference = read_references(engine, [latest], windows, view.end)[latest.instrument_id][view.range]
        if reference is not None:
            first, last = reference, latest.price
    return CoinSummary(
        change_percent=100 * (last - first) / first,
        low=min(candle.low for candle in candles),
        high=max(candle.high for candle in candles),
    )
