"""The data of the coin page's chart, for its script and for the drawing that is shown without JavaScript."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate
from statistics import median
from typing import Any, Literal

from coinwatch.codes import DOLLAR_LIKE
from coinwatch.database import transaction
from coinwatch.exchanges.models import Candle
from coinwatch.prices.backfill.gaps import gap_tolerance, instrument_gaps
from coinwatch.prices.candles.fitting import read_fitting_candles, usual_distance
from coinwatch.prices.candles.resolutions import WIDTHS, ReadResolution
from coinwatch.prices.candles.series import read_candles
from coinwatch.prices.catalog import INDEX, find_instrument
from coinwatch.prices.history.downsampling import PricePoint
from coinwatch.time_range import DAY
from coinwatch.web.dependencies import Site
from coinwatch.web.services.charts.gaps import ChartGaps, find_chart_gaps
from coinwatch.web.services.choices import Market
from coinwatch.web.services.coin.view import CoinView, market_key

Values = list[float | None]
NOT_RECORDED = "No prices were recorded"
COMPARED_SPREAD = 2  # the smallest number of exchanges that have a spread


@dataclass(frozen=True, slots=True)
class Line:
    """A line with one value per bar: a moving average in the quote currency, or a change in percent."""

    key: str
    label: str
    values: Values

    @property
    def last(self) -> float | None:
        """The newest value, None if there is none."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True, slots=True)
class CoinChart:
    """One bar per interval of ``resolution``, oldest first, with None where there are no prices.

    ``candles`` are those of the chosen market, ``averages`` its moving averages. In a comparison, ``lines`` are the
    changes of each market in percent since ``compared_since``, and ``spread`` is the highest minus the lowest price
    among exchanges with comparable currencies, in percent of their median; None if there are fewer than two.
    """

    resolution: ReadResolution
    times: list[datetime]
    candles: list[Candle | None]
    averages: list[Line]
    lines: list[Line]
    spread: Values | None
    compared_since: datetime | None
    gaps: ChartGaps

    @property
    def kind(self) -> Literal["prices", "percent"]:
        return "percent" if self.lines else "prices"

    @property
    def known(self) -> list[Candle]:
        """The candles there are."""
        return [candle for candle in self.candles if candle is not None]

    @property
    def has_volume(self) -> bool:
        """Whether any candle has a volume; those made of our own quotes have none."""
        return any(candle.volume is not None for candle in self.known)

    def shaded(self) -> list[tuple[datetime, datetime, str]]:
        """The time ranges without prices, with the reason."""
        return [(start, end, self._reason(start, end)) for start, end in self.gaps.breaks]

    def _reason(self, start: datetime, end: datetime) -> str:
        for gap in self.gaps.listed:
            if gap.started_at < end and gap.ended_at > start:
                return gap.reason or "No prices yet: they will be requested from the exchange"
        return NOT_RECORDED


def read_chart(site: Site, view: CoinView) -> CoinChart | None:
    """The chart of a view; None if its market has no candles in the time range."""
    now = site.clock()
    lead = max(view.averages, default=0)
    found = read_fitting_candles(
        site.engine,
        view.market.base,
        view.market.exchange,
        view.market.quote,
        start=view.start,
        end=view.end,
        now=now,
        lead=lead,
    )
    shown = [candle for candle in found.candles if candle.opened_at >= view.start]
    if not shown:
        return None
    width = WIDTHS[found.resolution]
    gaps = _find_gaps(site, view, shown, width)
    begins_with_gap = any(start <= view.start for start, _ in gaps.breaks)
    compared = {market: _read_compared(site, view, market, found.resolution, now) for market in view.compared}
    every = [shown, *(candles for candles in compared.values() if candles)] if compared else [shown]
    times = _bars(min(candles[0].opened_at for candles in every), view, width, now, whole=begins_with_gap)
    lines, since = _compare({view.market: shown, **compared}, times) if compared else ([], None)
    return CoinChart(
        resolution=found.resolution,
        times=times,
        candles=_aligned(shown, times),
        averages=[_average(found.candles, length, times) for length in view.averages] if not compared else [],
        lines=lines,
        spread=_spread(view.market, {view.market: shown, **compared}, times) if compared else None,
        compared_since=since,
        gaps=gaps,
    )


def script_data(chart: CoinChart, view: CoinView) -> dict[str, Any]:
    """The data as the chart's script takes it (``scripts/charts/data.js``): times in Unix seconds."""
    data: dict[str, Any] = {
        "kind": view.type if chart.kind == "prices" else "percent",
        "daily": WIDTHS[chart.resolution] >= DAY,
        "times": [int(moment.timestamp()) for moment in chart.times],
        "gaps": [[start.timestamp(), end.timestamp(), reason] for start, end, reason in chart.shaded()],
    }
    if chart.kind == "percent":
        data["lines"] = [
            {"key": line.key, "label": line.label, "values": _rounded(line.values)} for line in chart.lines
        ]
        data["spread"] = None if chart.spread is None else _rounded(chart.spread)
        return data
    names = ("open", "high", "low", "close") if view.type == "candles" else ("close",)
    for name in (*names, "volume") if chart.has_volume else names:
        data[name] = [None if candle is None else getattr(candle, name) for candle in chart.candles]
    data["averages"] = [{"label": line.label, "values": line.values} for line in chart.averages]
    return data


def _find_gaps(site: Site, view: CoinView, candles: Sequence[Candle], width: timedelta) -> ChartGaps:
    end = min(view.end, site.clock())
    with transaction(site.engine) as connection:
        market = view.market
        instrument = find_instrument(connection, market.base, market.exchange, market.quote)
        known = instrument_gaps(connection, instrument.instrument_id, view.start, end)
    points = [PricePoint(candle.opened_at, candle.close, None) for candle in candles]
    expected_within = max(gap_tolerance(site.settings, 0), 2 * width, 2 * usual_distance(candles))
    found = find_chart_gaps(points, known, view.start, end, expected_within)
    opened = {candle.opened_at for candle in candles}  # a gap between two candles begins when the first one ends
    breaks = [(first + width if first in opened else first, last) for first, last in found.breaks]
    return replace(found, breaks=breaks)


def _read_compared(
    site: Site, view: CoinView, market: Market, resolution: ReadResolution, now: datetime
) -> list[Candle]:
    return read_candles(
        site.engine,
        market.base,
        market.exchange,
        market.quote,
        resolution=resolution,
        start=view.start,
        end=view.end,
        now=now,
    ).candles


def _bars(first: datetime, view: CoinView, width: timedelta, now: datetime, *, whole: bool) -> list[datetime]:
    """The opening times of all bars: from the first candle, or if ``whole`` from the start of the range, to its end."""
    end = min(view.end, now)
    if whole:
        first -= (first - view.start) // width * width
    return [first + number * width for number in range(max(1, -((first - end) // width)))]


def _aligned(candles: Sequence[Candle], times: Sequence[datetime]) -> list[Candle | None]:
    by_time = {candle.opened_at: candle for candle in candles}
    return [by_time.get(moment) for moment in times]


def _average(candles: Sequence[Candle], length: int, times: Sequence[datetime]) -> Line:
    """The simple moving average of the last ``length`` closes, from the first bar that has that many."""
    sums = [0.0, *accumulate(candle.close for candle in candles)]
    by_time = {
        candle.opened_at: (sums[number] - sums[number - length]) / length
        for number, candle in enumerate(candles, 1)
        if number >= length
    }
    return Line(f"sma{length}", f"SMA {length}", [by_time.get(moment) for moment in times])


def _compare(compared: dict[Market, list[Candle]], times: Sequence[datetime]) -> tuple[list[Line], datetime]:
    """The change of each market in percent since the first time at which all of them have a price, and that time."""
    since = max(candles[0].opened_at for candles in compared.values() if candles)
    lines = []
    for market, candles in compared.items():
        base = next((candle.open for candle in candles if candle.opened_at >= since), None)
        by_time = {candle.opened_at: 100 * (candle.close - base) / base for candle in candles} if base else {}
        label = market.exchange_name if market.exchange != INDEX else "Index"
        lines.append(Line(market_key(market), f"{label}, {market.quote}", [by_time.get(moment) for moment in times]))
    return lines, since


def _spread(chosen: Market, compared: dict[Market, list[Candle]], times: Sequence[datetime]) -> Values | None:
    """US dollars and stablecoins count as one currency. The index is not an exchange."""
    currencies = DOLLAR_LIKE if chosen.quote in DOLLAR_LIKE else (chosen.quote,)
    exchanges = [
        {candle.opened_at: candle.close for candle in candles}
        for market, candles in compared.items()
        if market.exchange != INDEX and market.quote in currencies and candles
    ]
    if len(exchanges) < COMPARED_SPREAD:
        return None
    spread: Values = []
    for moment in times:
        closes = [closes[moment] for closes in exchanges if moment in closes]
        enough = len(closes) >= COMPARED_SPREAD
        spread.append(100 * (max(closes) - min(closes)) / median(closes) if enough else None)
    return spread


def _rounded(percentages: Values) -> Values:
    return [None if value is None else round(value, 5) for value in percentages]
