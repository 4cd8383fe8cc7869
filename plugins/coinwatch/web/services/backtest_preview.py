"""How often a rule would have told somebody, shown before they ask for it: a backtest in plain words, with a chart."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from coinwatch.alerts.backtest import Backtest, PastAlert, backtest
from coinwatch.alerts.rules import Rule, describe
from coinwatch.formatting import format_amount, format_duration, format_percent, format_price
from coinwatch.prices.history.latest import PricePoint, series
from coinwatch.web.dependencies import Site
from coinwatch.web.middleware.access import Visitor
from coinwatch.web.services.chart import SMALL, Chart, draw
from coinwatch.web.services.subscription_requests import WatchWish

DAYS = 30
SHOWN = 5
CHART_POINTS = 400
# A person waits; and whoever asks for the dearest rule there is keeps Postgres busy for this long and no longer.
STATEMENT_LIMIT = timedelta(seconds=5)
FLOOD = timedelta(hours=4)
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class LookBack:
    """What a rule would have told in the ``days`` before ``past.end``.

    ``values`` are the prices, or 24 h volumes, of that time, thinned, oldest first.
    """

    rule: Rule
    past: Backtest
    values: list[PricePoint]
    days: int

    @property
    def condition(self) -> str:
        """The rule in words."""
        return describe(self.rule, self.past.quote, self.past.base)

    @property
    def known(self) -> timedelta:
        """The time since the first value; zero without any."""
        return self.past.end - (self.past.first_at or self.past.end)

    @property
    def whole(self) -> bool:
        """Whether the values cover the whole time that was asked for."""
        return self.known >= timedelta(days=self.days) - DAY


@dataclass(frozen=True, slots=True)
class Preview:
    """A look back as the form shows it: an ``answer``, what to do about it, the newest alerts, and a drawing.

    ``condition`` is how we read the form, ``doubt`` says how little history there is, where that is so.
    """

    condition: str
    answer: str
    doubt: str
    advice: str
    warning: bool
    what: str
    against: str
    newest: list[PastAlert]
    chart: Chart | None
    told: str
    metric: str


def look_back(site: Site, wish: WatchWish, visitor: Visitor | None, client: str, days: int = DAYS) -> LookBack:
    """Try a rule on the last ``days`` days.

    Raises InvalidRequest, NotFound, TooManyRequests, and QueryTimeout where Postgres needs more than seconds.
    """
    rule, end = wish.rule(), site.clock()
    start = end - timedelta(days=days)
    market = (wish.coin, wish.exchange, wish.quote)
    with _turn(site, visitor, client):
        past = backtest(site.engine, rule, *market, start=start, end=end, statement_limit=STATEMENT_LIMIT)
        found = series(site.engine, *market, start=start, end=end, points=CHART_POINTS)
    values = found.points
    if rule.metric == "volume_24h":
        values = [replace(point, price=point.volume_24h) for point in values if point.volume_24h]
    return LookBack(rule, past, values, days)


def preview(found: LookBack) -> Preview:
    """The look back in words and as a drawing."""
    past, rule = found.past, found.rule
    advice, warning = _advice(found)
    marks = [(alert.observed_at, alert.price) for alert in past.alerts]
    level = rule.threshold if rule.kind == "crosses" else None
    answer, doubt = _answer(found)
    start = past.start if found.whole else past.first_at or past.start
    what = "24 h volume" if rule.metric == "volume_24h" else "price"
    return Preview(
        condition=f"{past.base}: {found.condition}",
        answer=answer,
        doubt=doubt,
        advice=advice,
        warning=warning,
        what=f"Volume ({past.base})" if rule.metric == "volume_24h" else f"Price ({past.quote})",
        against="mean" if rule.kind == "deviation_from_average" else "from",
        newest=past.alerts[: -SHOWN - 1 : -1],
        chart=draw(found.values, start, past.end, marks=marks, level=level, frame=SMALL),
        told=f"The {what} of {past.base} in that time, with a dot at each alert. {answer}",
        metric=rule.metric,
    )


@contextmanager
def _turn(site: Site, visitor: Visitor | None, client: str) -> Iterator[None]:
    """Everybody waits for a turn; strangers besides may not ask too often."""
    if visitor is None or not visitor.operator:
        site.backtest_limit.take(client)
    with site.backtest_turns.take():
        yield


def _answer(found: LookBack) -> tuple[str, str]:
    """How often it would have told, and how little history says so where it is short."""
    count, rule = len(found.past.alerts), found.rule
    if found.past.first_at is None:
        return "Nobody can say how often.", ""
    when = f"In the last {found.days} days" if found.whole else f"In the last {_span(found.known)}"
    doubt = "" if found.whole else f"There are no older prices yet; {found.days} days would tell more."
    if count == 0:
        return f"{when} this would not have told you anything.", doubt
    if not rule.repeat:
        first = found.past.alerts[0].observed_at
        return f"This would have told you on {first.day} {first:%B at %H:%M} UTC, and then ended.", doubt
    times = {1: "once", 2: "twice"}.get(count, f"{count:,} times")
    return f"{when} this would have alerted you {times}{_rate(found)}.", doubt


def _rate(found: LookBack) -> str:
    """How often that is, where there is a week of history to say so."""
    per_week = found.past.per_week
    if found.known < WEEK or len(found.past.alerts) < 2:
        return ""
    if per_week >= 14:
        return f", about {per_week / 7:.0f} a day"
    return f", about {per_week:.0f} a week" if per_week >= 0.95 else ""


def _advice(found: LookBack) -> tuple[str, bool]:
    """What to do about it, and whether that is a warning."""
    past, rule = found.past, found.rule
    count = len(past.alerts)
    if found.past.first_at is None:
        if rule.metric == "price":
            return "There are no prices here yet. The alert can be made all the same and starts with them.", False
        where = "All exchanges together have" if past.exchange == "index" else "This exchange gives"
        return f"{where} no 24 h volume, so this would never tell you anything. Choose another exchange.", True
    if count == 0:
        if rule.kind == "crosses" and found.values:
            lowest, highest = (_shown(found, pick(value.price for value in found.values)) for pick in (min, max))
            return f"It stayed between {lowest} and {highest}.", False
        between = found.known / max(1, past.quotes)
        if rule.kind == "deviation_from_average" and timedelta(seconds=rule.window_seconds) < 0.9 * between:
            return f"Values come about every {_span(between)}: choose an average over a longer time.", True
        return "" if rule.kind == "crosses" else "A smaller change would tell you more often.", False
    every = found.known / count
    if rule.repeat and count >= 6 and every < FLOOD:
        return f"That is an alert every {_span(every)}. {_instead(found)}", True
    return "", False


def _instead(found: LookBack) -> str:
    """What would make it about one alert a day."""
    rule, days = found.rule, max(1, round(found.known / DAY))
    rest = "let it be quiet for longer: with 1 day it is one a day at most."
    if rule.kind == "crosses":
        return rest.capitalize()
    if rule.kind == "change_since_last" and rule.cooldown_seconds == 0:
        # Each of these alerts stands for itself, so the largest ones tell how often a higher threshold is reached.
        largest = sorted((abs(alert.change_percent) for alert in found.past.alerts), reverse=True)
        threshold = _rounded_up(largest[min(days, len(largest)) - 1])
        if threshold > rule.threshold:
            return (
                f"Raise the change (from {format_percent(threshold)} on it would have been about one a day), or {rest}"
            )
    return f"Raise the change, or {rest}"


def _rounded_up(value: float) -> float:
    """To two digits that matter, never down."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step - 1e-9) * step:.6g}")


def _shown(found: LookBack, value: float) -> str:
    if found.rule.metric == "volume_24h":
        return f"{format_amount(value)} {found.past.base}"
    return f"{format_price(value)} {found.past.quote}"


def _span(length: timedelta) -> str:
    """A length in its largest fitting unit, rounded: 20 minutes, 3 hours, 12 days."""
    for unit in (86400, 3600, 60):
        if length.total_seconds() >= 1.5 * unit:
            return format_duration(round(length.total_seconds() / unit) * unit)
    return format_duration(60)
