"""The preview of an alert on its form: how often it would have fired, as text and as a chart."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from coinwatch.alerts.backtest import Backtest, PastAlert, backtest
from coinwatch.alerts.backtest_summary import lacks_history, summarize
from coinwatch.alerts.distance import Distance, firing_levels
from coinwatch.alerts.distance_summary import summarize_distance
from coinwatch.alerts.rules import Rule, describe
from coinwatch.formatting import format_amount, format_duration, format_percent, format_price, format_since
from coinwatch.prices.catalog import FoundInstrument
from coinwatch.prices.history.downsampling import PricePoint
from coinwatch.prices.history.series import read_series
from coinwatch.time_range import DAY
from coinwatch.web.dependencies import Site
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.schemas.forms import DEFAULT_DAYS
from coinwatch.web.services.charts.svg_chart import SMALL, Chart, draw_chart

ALERTS_SHOWN = 5
CHART_POINTS = 400
MAX_MARKERS = 60
# A user is waiting for the result. This also limits how long the most expensive rule keeps Postgres busy.
STATEMENT_TIMEOUT = timedelta(seconds=5)
TOO_OFTEN = timedelta(hours=4)  # an alert that fires more often gets a warning


@dataclass(frozen=True, slots=True)
class TestedRule:
    """A rule and its backtest.

    ``values`` are the prices (or 24 h volumes) of its time range, downsampled, oldest first.
    """

    rule: Rule
    result: Backtest
    values: list[PricePoint]

    @property
    def condition(self) -> str:
        """The rule as a clause: "the price rises by 5% or more within 1 hour"."""
        return describe(self.rule, self.result.quote, self.result.base)


@dataclass(frozen=True, slots=True)
class Preview:
    """A rule as the form shows it: the current value, and a backtest.

    ``distance`` says how far the value is from firing the rule, ``is_true`` whether the condition is true already.
    ``condition`` describes the rule and ``summary`` how often it would have fired. ``caveat`` warns if there is little
    history, and ``advice`` suggests what to change; both may be empty.
    """

    condition: str
    distance: str
    is_true: bool
    summary: str
    caveat: str
    advice: str
    is_warning: bool
    value_label: str
    reference_label: str
    newest: list[PastAlert]
    chart: Chart | None
    chart_description: str
    chart_json: str
    metric: str


def run_backtest(
    site: Site,
    instrument: FoundInstrument,
    rule: Rule,
    visitor: Visitor | None,
    client: str,
    days: int = DEFAULT_DAYS,
) -> TestedRule:
    """Test a valid rule on the last ``days`` days.

    Raises TooManyRequests, and QueryTimeout if it takes more than a few seconds.
    """
    end = site.clock()
    start = end - timedelta(days=days)
    market = (instrument.base, instrument.exchange, instrument.quote)
    with _slot(site, visitor, client):
        result = backtest(site.engine, rule, *market, start=start, end=end, statement_limit=STATEMENT_TIMEOUT)
        values = read_series(site.engine, *market, start=start, end=end, points=CHART_POINTS).points
    if rule.metric == "volume_24h":
        values = [point._replace(price=point.volume_24h) for point in values if point.volume_24h]
    return TestedRule(rule, result, values)


def build_preview(tested: TestedRule, distance: Distance) -> Preview:
    """Describe the distance and the backtest in text and as a chart."""
    result, rule = tested.result, tested.rule
    advice, is_warning = _advice(tested)
    summary, caveat = summarize(result, rule)
    begins_later = result.first_at and format_since(result.first_at, result.start, result.end)
    start = result.first_at if result.first_at and begins_later else result.start
    points = _with_alerts(tested)
    chart = draw_chart(
        points,
        start,
        result.end,
        markers=[(alert.observed_at, alert.price) for alert in result.alerts],
        levels=[value for value, _ in firing_levels(distance, rule)],
        frame=SMALL,
    )
    is_volume = rule.metric == "volume_24h"
    return Preview(
        condition=f"{result.base}: {tested.condition}",
        distance=summarize_distance(distance, rule, result.base, result.quote),
        is_true=distance.is_true is True and rule.kind != "change_since_last",
        summary=summary,
        caveat=caveat,
        advice=advice,
        is_warning=is_warning,
        value_label=f"Volume ({result.base})" if is_volume else f"Price ({result.quote})",
        reference_label="average" if rule.kind == "deviation_from_average" else "from",
        newest=result.alerts[: -ALERTS_SHOWN - 1 : -1],
        chart=chart,
        chart_description=f"{'24 h volume' if is_volume else 'Price'} of {result.base}, with a dot at each alert. "
        + summary,
        chart_json=_chart_json(points, tested, distance),
        metric=rule.metric,
    )


def _chart_json(points: list[PricePoint], tested: TestedRule, distance: Distance) -> str:
    """The data of the interactive chart: times in Unix seconds, values, levels, and the alerts that fired.

    The text has no ``<``, so that it may stand in a ``<script>`` element.
    """
    return json.dumps(
        {
            "times": [round(point.observed_at.timestamp()) for point in points],
            "values": [point.price for point in points],
            "levels": [{"value": value, "label": label} for value, label in firing_levels(distance, tested.rule)],
            "markers": [
                {
                    "time": round(alert.observed_at.timestamp()),
                    "label": format_percent(alert.change_percent, signed=True),
                    "direction": "up" if alert.change_percent > 0 else "down",
                }
                for alert in _spread(tested.result.alerts)
            ],
            "unit": tested.result.base if tested.rule.metric == "volume_24h" else tested.result.quote,
        }
    )


def _spread(alerts: Sequence[PastAlert]) -> Sequence[PastAlert]:
    """Up to MAX_MARKERS of the alerts, over the whole time: more would hide the line."""
    step = -(-len(alerts) // MAX_MARKERS)
    return alerts[::-step][::-1] if step > 1 else alerts


@contextmanager
def _slot(site: Site, visitor: Visitor | None, client: str) -> Iterator[None]:
    """Limit concurrent backtests for everyone, and the rate for everyone but operators."""
    if visitor is None or not visitor.operator:
        site.backtest_limit.check(client)
    with site.backtest_slots.acquire():
        yield


def _with_alerts(tested: TestedRule) -> list[PricePoint]:
    """The downsampled values and those that fired alerts, so that the line passes through every dot."""
    known = {point.observed_at for point in tested.values}
    fired = [
        PricePoint(alert.observed_at, alert.price, None)
        for alert in tested.result.alerts
        if alert.observed_at not in known
    ]
    return sorted([*tested.values, *fired], key=lambda point: point.observed_at)


def _advice(tested: TestedRule) -> tuple[str, bool]:
    """A suggestion what to change, and whether it is a warning."""
    result, rule = tested.result, tested.rule
    count = len(result.alerts)
    if result.first_at is None:
        if rule.metric == "price":
            return "There are no prices here yet. You can create the alert now; it starts with the first price.", False
        if result.exchange == "index":
            return "24 h volume is tracked per exchange, so this alert would never fire. Choose an exchange.", True
        return "This exchange doesn't report 24 h volume, so this alert would never fire. Choose another one.", True
    if lacks_history(result, rule):
        return "", False
    if count == 0:
        if rule.kind == "crosses" and tested.values:
            subject = "24 h volume" if rule.metric == "volume_24h" else "price"
            values = [value.price for value in tested.values]
            lowest, highest = _with_unit(tested, min(values)), _with_unit(tested, max(values))
            return f"The {subject} stayed between {lowest} and {highest}.", False
        interval = tested.result.history / max(1, result.quotes)
        if rule.kind == "deviation_from_average" and timedelta(seconds=rule.window_seconds) < 0.9 * interval:
            return f"There is a new value about every {_rounded_duration(interval)}. Choose a longer average.", True
        if rule.period is not None:
            return "" if rule.period == "24h" else "A shorter period would fire more often.", False
        return "" if rule.kind == "crosses" else "A smaller change would fire more often.", False
    interval = tested.result.history / count
    if rule.repeat and count >= 6 and interval < TOO_OFTEN:
        return f"That is an alert every {_rounded_duration(interval)}. {_how_to_reduce(tested)}", True
    return "", False


def _how_to_reduce(tested: TestedRule) -> str:
    """Suggests changes that reduce the alerts to about one a day."""
    rule, days = tested.rule, max(1, round(tested.result.history / DAY))
    longer_cooldown = "a longer cooldown: with 1 day, you'd get at most one alert a day."
    if rule.kind == "crosses" or rule.period is not None:
        return f"Choose {longer_cooldown}"
    if rule.kind == "change_since_last" and rule.cooldown_seconds == 0:
        # Alerts don't affect each other here, so their sizes show how often a higher threshold would be reached.
        largest = sorted((abs(alert.change_percent) for alert in tested.result.alerts), reverse=True)
        threshold = _rounded_up(largest[min(days, len(largest)) - 1])
        if threshold > rule.threshold:
            return (
                f"Choose a larger change ({format_percent(threshold)} would have fired about once a day), "
                f"or {longer_cooldown}"
            )
    return f"Choose a larger change, or {longer_cooldown}"


def _rounded_up(value: float) -> float:
    """Rounded up to two significant digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.6g}")


def _with_unit(tested: TestedRule, value: float) -> str:
    if tested.rule.metric == "volume_24h":
        return f"{format_amount(value)} {tested.result.base}"
    return f"{format_price(value)} {tested.result.quote}"


def _rounded_duration(duration: timedelta) -> str:
    """Rounded to the largest unit that fits: 20 minutes, 3 hours, 12 days."""
    seconds = duration.total_seconds()
    for unit in (86400, 3600, 60):
        if seconds >= 1.5 * unit:
            return format_duration(round(seconds / unit) * unit)
    return format_duration(60)
