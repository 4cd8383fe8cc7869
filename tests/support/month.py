"""A month of one-minute values, and when rules fire on them in pandas: written from the definition, not from our SQL.

A frame has the columns ``at`` (UTC), ``price``, ``volume`` (24 h, NaN if unknown) and ``run``: the number of the
evaluation before which the value arrived. Values are in order of ``at``.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import sqlalchemy as sa

from coinwatch.alerts.rules import EXTREMES, Rule
from coinwatch.database import transaction
from coinwatch.exchanges.models import Quote
from coinwatch.pipeline import store_alerts
from coinwatch.prices.catalog import list_watched_instruments
from coinwatch.prices.ingest.loading import load_quotes
from tests.support.quotes import START
from tests.support.subscriptions import subscribe

SLACK = pd.Timedelta(days=1)
HOUR, DAY = 3600, 86400


def random_month(seed: int, days: int = 30) -> pd.DataFrame:
    """A random walk with jumps, gaps, repeated values and a day without any; times have microseconds."""
    chance = np.random.default_rng(seed)
    number = days * 1440
    steps = chance.normal(0, 0.0006, number)
    jumps = chance.choice(number, 2 * days, replace=False)
    steps[jumps] += chance.choice([-1, 1], len(jumps)) * chance.uniform(0.01, 0.05, len(jumps))
    steps[chance.random(number) < 0.2] = 0
    price = np.round(40_000 * np.exp(np.cumsum(steps) - np.cumsum(steps).mean()), 2)
    volume = np.round(1_000 * np.exp(np.cumsum(chance.normal(0, 0.003, number))), 3)
    volume[chance.random(number) < 0.05] = np.nan
    volume[chance.random(number) < 0.001] = 0
    offsets = 60_000_000 * np.arange(number) + chance.integers(0, 5_000_000, number)
    at = pd.Timestamp(START) + pd.to_timedelta(offsets, unit="us")
    kept = np.ones(number, bool)
    for first in chance.choice(number, days, replace=False):
        kept[first : first + chance.integers(5, 180)] = False
    middle = number // 2
    kept[middle : middle + 26 * 60] = False
    frame = pd.DataFrame({"at": at.as_unit("us"), "price": price, "volume": volume})
    return frame[kept].reset_index(drop=True)


def in_runs(frame: pd.DataFrame, seed: int, *, late: float) -> pd.DataFrame:
    """Split the values into runs of minutes to hours, with some outages of many hours; a fraction ``late`` arrives
    later."""
    chance = np.random.default_rng(seed)
    gaps = np.where(chance.random(len(frame)) < 0.02, chance.integers(180, 1800, len(frame)), 0)
    lengths = pd.to_timedelta(gaps + chance.integers(1, 360, len(frame)), unit="min")
    ends = (frame["at"].iloc[0] + lengths.to_series().cumsum()).to_numpy()
    runs = np.searchsorted(ends, frame["at"].to_numpy())
    runs += np.where(chance.random(len(frame)) < late, chance.integers(1, 4, len(frame)), 0)
    return frame.assign(run=runs)


def rules_for(frame: pd.DataFrame) -> list[Rule]:
    """Rules of every kind, metric and direction, with windows of minutes to a day, cooldowns, and some without
    repeat."""
    level = float(frame["price"].median().round(-2))
    return [
        Rule("change_since_last", 0.5),
        Rule("change_since_last", 0.15, "down", cooldown_seconds=HOUR),
        Rule("change_since_last", 1, "up", repeat=False),
        Rule("change_since_last", 0.5, metric="volume_24h"),
        Rule("crosses", level),
        Rule("crosses", level * 1.02, "up", cooldown_seconds=HOUR),
        Rule("crosses", level * 0.98, "down", repeat=False),
        Rule("crosses", float(frame["volume"].median()), "either", "volume_24h", cooldown_seconds=DAY),
        Rule("change_over_window", 1, window_seconds=300),
        Rule("change_over_window", 2, "up", window_seconds=HOUR),
        Rule("change_over_window", 0.7, "down", window_seconds=HOUR, cooldown_seconds=7200),
        Rule("change_over_window", 5, window_seconds=DAY, cooldown_seconds=600),
        Rule("change_over_window", 3, "down", window_seconds=DAY, repeat=False),
        Rule("change_over_window", 4, "up", "volume_24h", window_seconds=HOUR),
        Rule("deviation_from_average", 0.5, window_seconds=300),
        Rule("deviation_from_average", 1, "down", window_seconds=HOUR, cooldown_seconds=600),
        Rule("deviation_from_average", 2, "up", window_seconds=DAY),
        Rule("deviation_from_average", 1.5, window_seconds=HOUR, repeat=False),
        Rule("deviation_from_average", 8, "either", "volume_24h", window_seconds=DAY, cooldown_seconds=HOUR),
    ]


def expected(frame: pd.DataFrame, rule: Rule) -> list[datetime]:
    """When the rule fires. A value that arrives after a newer one was evaluated is not evaluated."""
    evaluated = _compared(frame, rule)
    if rule.kind == "crosses":
        up = (evaluated["reference"] < rule.threshold) & (evaluated["value"] >= rule.threshold)
        down = (evaluated["reference"] > rule.threshold) & (evaluated["value"] <= rule.threshold)
    else:
        change = 100 * (evaluated["value"] - evaluated["reference"]) / evaluated["reference"]
        change = change.where(change.abs() > 1e-10, 0)
        enough = change.abs() * (1 + 1e-12) >= rule.threshold
        up, down = enough & (change > 0), enough & (change < 0)
    holds = {"up": up, "down": down, "either": up | down}[rule.direction]
    return _fired(evaluated["at"], holds, rule)


def replay(engine: sa.Engine, frame: pd.DataFrame, rules: Sequence[Rule], coin: str, exchange: str) -> list[int]:
    """Load and evaluate the frame run by run with the real code; return the ids of the rules' subscriptions."""
    with transaction(engine) as connection:
        ids = list_watched_instruments(connection, exchange)
    instrument = next(each for each in ids if each.base == coin and each.quote == "USD")
    before = frame["at"].iloc[0].to_pydatetime() - timedelta(minutes=1)
    subscriptions = [
        subscribe(
            engine, email=f"rule{n}@example.org", coin=coin, exchange=exchange, rule=rule, now=before, confirmed=True
        ).id
        for n, rule in enumerate(rules)
    ]
    now = before
    for _, part in frame.groupby("run"):
        shuffled = part.sample(frac=1, random_state=1)
        now = max(now, shuffled["at"].max().to_pydatetime())
        quotes = [
            Quote(instrument, float(row.price), at, now, volume_24h=None if np.isnan(row.volume) else float(row.volume))
            for row in shuffled.itertuples()
            if (at := row.at.to_pydatetime())
        ]
        load_quotes(engine, ids, quotes, now=now, max_age=timedelta(days=60))
        store_alerts(engine, now)
    return subscriptions


def _compared(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The evaluated values with their references, without those that have none."""
    column = {"price": "price", "volume_24h": "volume"}[rule.metric]
    watermark = frame.groupby("run")["at"].max().cummax().shift()
    late = frame["at"] <= frame["run"].map(watermark)
    known = frame.assign(value=frame[column], late=late)[frame[column].notna()]
    if rule.kind in EXTREMES:
        evaluated = known.assign(reference=_extremes(known, rule))
    elif not rule.window_seconds:
        evaluated = known[~known["late"]]
        evaluated = evaluated.assign(reference=evaluated["value"].shift())
    elif not late.any():
        evaluated = known.assign(reference=_references(known, known, rule))
    else:
        parts = []
        for run, part in known[~known["late"]].groupby("run"):
            near = known["at"].between(part["at"].iloc[0] - 3 * SLACK, part["at"].iloc[-1])
            parts.append(part.assign(reference=_references(known[near & (known["run"] <= run)], part, rule)))
        evaluated = pd.concat(parts)
    return evaluated[evaluated["reference"] > 0]


def _extremes(known: pd.DataFrame, rule: Rule) -> np.ndarray:
    """The highest (lowest) value of the period before each value, NaN without enough history; none may be late."""
    sign = 1 if rule.kind == "new_high" else -1
    values, hour = sign * known["value"], known["at"].dt.floor("h")
    hourly = values.groupby(hour).max()
    hours, highs = hourly.index, hourly.to_numpy()
    length = pd.Timedelta(seconds=rule.window_seconds)
    starts = (hours - length).floor("D") if length > pd.Timedelta(days=7) else hours - length
    first = hours[0].floor("D") if length > pd.Timedelta(days=7) else hours[0]
    if not rule.window_seconds:
        starts = np.where(hours - first >= pd.Timedelta(days=1), first, first - pd.Timedelta(days=1))
    before = np.full(len(hours), np.nan)
    for number, start in enumerate(pd.DatetimeIndex(starts)):
        since = hours.searchsorted(start)
        if first <= start and since < number:
            before[number] = highs[since:number].max()
    prior = pd.Series(before, hours).reindex(hour).to_numpy()
    same_hour = values.groupby(hour).cummax().groupby(hour).shift().to_numpy()
    return sign * np.where(np.isnan(prior), np.nan, np.fmax(prior, same_hour))


def _references(known: pd.DataFrame, evaluated: pd.DataFrame, rule: Rule) -> np.ndarray:
    window = pd.Timedelta(seconds=rule.window_seconds)
    if rule.kind == "deviation_from_average":
        means = known.set_index("at")["value"].rolling(window, closed="left").mean()
        return means.loc[evaluated["at"]].to_numpy()
    wanted = pd.DataFrame({"at": evaluated["at"] - window})
    return pd.merge_asof(wanted, known[["at", "value"]], on="at", tolerance=SLACK)["value"].to_numpy()


def _fired(moments: pd.Series, holds: pd.Series, rule: Rule) -> list[datetime]:
    """Apply cooldown, repeat and rearming, which depend on the alert before."""
    found: list[datetime] = []
    armed, cooldown_until = True, None
    for at, condition in zip(moments.dt.to_pydatetime(), holds, strict=True):
        if not condition:
            armed = True
        elif (armed or not rule.window_seconds or rule.kind in EXTREMES) and (
            cooldown_until is None or at >= cooldown_until
        ):
            found.append(at)
            if not rule.repeat:
                break
            armed, cooldown_until = False, at + timedelta(seconds=rule.cooldown_seconds)
    return found
