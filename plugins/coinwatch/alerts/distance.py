"""How far the current value of an instrument is from firing a rule.

What a rule compares the newest value with is computed as in the evaluation, so a condition is "true now" exactly if the
newest value satisfies it. Cooldowns, snoozes and whether a rule has already fired are not taken into account.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from coinwatch.alerts.evaluation import SLACK
from coinwatch.alerts.rules import EXTREME_NAMES, EXTREMES, PERIOD_ADJECTIVES, Direction, Rule
from coinwatch.alerts.subscriptions import Subscription
from coinwatch.database import statement, transaction
from coinwatch.formatting import format_percent
from coinwatch.time_range import MINUTE

# A change of exactly the threshold counts, as in the evaluation, although in floating point it may be
# 4.999999999999996%.
TOLERANCE = 1e-12
SIGNS: dict[Direction, tuple[int, ...]] = {"up": (1,), "down": (-1,), "either": (1, -1)}
FLOAT_NOISE = 1e-10  # percent
CLOCK_TOLERANCE = MINUTE  # an exchange's clock may be ahead of ours


@dataclass(frozen=True, slots=True)
class Distance:
    """The newest value, compared with the value at which a rule fires.

    ``value`` was observed at ``observed_at``; both are None if there is none. ``reference`` is what the rule compares
    with: the value one window earlier, observed at ``reference_at``; the average since then; the previous value; the
    highest or lowest value of the period; or the level (without a time). ``change_percent`` is the change of ``value``
    from it.

    ``is_true``: ``value`` satisfies the condition. A next value of ``fires_at`` satisfies it; ``distance_percent`` is
    the change from ``value`` to that, negative for a fall. For direction ``either``, both are about the nearer side.
    The distance of a window rule that is true is zero. That of ``crosses`` is the distance to the level, also beyond
    it; that of ``change_since_last`` starts at ``value``, which the next one is compared with. All of these are None if
    there is not enough history to compare with, or if no value can be that low.

    ``is_step``: a ladder continues, so ``fires_at`` is its next step. If ``value`` has reached it, during the cooldown,
    ``is_true`` is true and the distance zero.
    """

    value: float | None = None
    observed_at: datetime | None = None
    reference: float | None = None
    reference_at: datetime | None = None
    change_percent: float | None = None
    fires_at: float | None = None
    distance_percent: float | None = None
    is_true: bool | None = None
    is_step: bool = False


class Subject(NamedTuple):
    """What decides the values that rules are compared with."""

    instrument_id: int
    metric: str
    kind: str
    window_seconds: int


def distances_of(engine: Engine, subscriptions: Iterable[Subscription], now: datetime) -> dict[int, Distance]:
    """The distances of subscriptions, by id, read with one statement, or two if there are rules about highs or lows."""
    own = list(subscriptions)
    with transaction(engine) as connection:
        found = measure_distances(connection, [(each.instrument_id, each.rule) for each in own], now)
    return {each.id: _aimed_at_step(distance, each) for each, distance in zip(own, found, strict=True)}


def measure_distance(engine: Engine, instrument_id: int, rule: Rule, now: datetime) -> Distance:
    """The distance of one rule on an instrument."""
    with transaction(engine) as connection:
        return measure_distances(connection, [(instrument_id, rule)], now)[0]


def measure_distances(connection: Connection, watched: Sequence[tuple[int, Rule]], now: datetime) -> list[Distance]:
    """The distance of each rule on an instrument (its id), in the given order."""
    subjects = list(dict.fromkeys(map(_subject, watched)))
    compared = [subject for subject in subjects if subject.kind not in EXTREMES]
    extremes = [subject for subject in subjects if subject.kind in EXTREMES]
    volumes = [subject for subject in extremes if subject.metric == "volume_24h"]
    found = _read(connection, "alerts/distance/select_references", compared, compared, now, slack=SLACK)
    found |= _read(connection, "alerts/distance/select_extremes", extremes, volumes, now)
    return [_measured(found.get(_subject(each), Distance()), each[1]) for each in watched]


def _read(
    connection: Connection,
    name: str,
    subjects: Sequence[Subject],
    reading_quotes: Sequence[Subject],
    now: datetime,
    **parameters: object,
) -> dict[Subject, Distance]:
    """The values and references of the subjects; quotes are read as far back as those ``reading_quotes`` need."""
    if not subjects:
        return {}
    longest = max((subject.window_seconds for subject in reading_quotes), default=0)
    columns = dict(
        zip(("instrument_ids", "metrics", "kinds", "windows"), map(list, zip(*subjects, strict=True)), strict=True)
    )
    bounds = {"oldest": now - timedelta(seconds=longest) - 2 * SLACK, "newest": now + CLOCK_TOLERANCE}
    rows = connection.execute(statement(name), columns | bounds | parameters).mappings()
    return {
        subjects[row["number"] - 1]: Distance(**{name: row[name] for name in row if name != "number"}) for row in rows
    }


def firing_levels(distance: Distance, rule: Rule) -> list[tuple[float, str]]:
    """The values beyond which a next value fires the rule, highest first, each with a label: "+5%", or "Level"."""
    if rule.kind == "crosses":
        return [(rule.threshold, "Level")]
    base = _base(distance, rule)
    if base is None:
        return []
    levels = [(base * (1 + sign * rule.threshold / 100), sign) for sign in SIGNS[rule.direction]]
    if rule.period:
        return [(level, f"{PERIOD_ADJECTIVES[rule.period]} {EXTREME_NAMES[rule.kind]}") for level, _ in levels]
    percent = format_percent(rule.threshold)
    return [(level, f"{'+' if sign > 0 else '-'}{percent}") for level, sign in levels if level > 0]


def _base(distance: Distance, rule: Rule) -> float | None:
    """What a next value is compared with."""
    return distance.value if rule.kind == "change_since_last" else distance.reference


def _subject(watched: tuple[int, Rule]) -> Subject:
    instrument_id, rule = watched
    return Subject(instrument_id, rule.metric, rule.kind, rule.window_seconds)


def _measured(current: Distance, rule: Rule) -> Distance:
    """The distance, from the newest value and its reference."""
    value = current.value
    if value is None:
        return current
    if rule.kind == "crosses":
        level, beyond = rule.threshold, {"up": value >= rule.threshold, "down": value <= rule.threshold}
        measured = replace(current, reference=level, change_percent=_change(level, value))
        return _aimed(measured, value, level, is_true=beyond.get(rule.direction, False))
    is_true = _is_reached(current.change_percent, rule)
    if rule.kind == "change_since_last":
        return _aimed(current, value, _target(value, value, rule), is_true=is_true)
    if not current.reference or current.change_percent is None:
        return current
    if rule.kind in EXTREMES:
        sign = SIGNS[rule.direction][0]
        is_extreme = rule.threshold == 0 and sign * current.change_percent >= -FLOAT_NOISE
        return _aimed(current, value, current.reference * (1 + sign * rule.threshold / 100), is_true=is_extreme)
    if is_true:
        passed = current.reference * (1 + math.copysign(rule.threshold, current.change_percent) / 100)
        return replace(current, fires_at=passed, distance_percent=0.0, is_true=True)
    return _aimed(current, value, _target(value, current.reference, rule), is_true=False)


def _aimed(current: Distance, value: float, fires_at: float | None, *, is_true: bool) -> Distance:
    distance = None if fires_at is None else _change(value, fires_at)
    return replace(current, fires_at=fires_at, distance_percent=distance, is_true=is_true)


def _aimed_at_step(distance: Distance, own: Subscription) -> Distance:
    """The distance to the next step of the subscription's ladder, unless the newest value ends the ladder."""
    value, step, direction = distance.value, own.next_step, own.next_step_direction
    if value is None or step is None or direction is None:
        return distance
    sign = SIGNS[direction][0]
    change = distance.change_percent or 0
    continues = sign * change >= 0 if own.kind == "crosses" else sign * change > 0 and distance.is_true
    if not continues:
        return distance
    is_reached = sign * (value - step) >= -TOLERANCE * step
    to_step = 0.0 if is_reached else _change(value, step)
    return replace(distance, fires_at=step, distance_percent=to_step, is_true=is_reached, is_step=True)


def _is_reached(change_percent: float | None, rule: Rule) -> bool:
    if change_percent is None:
        return False
    size = {"up": change_percent, "down": -change_percent, "either": abs(change_percent)}[rule.direction]
    return (1 + TOLERANCE) * size >= rule.threshold


def _target(value: float, reference: float, rule: Rule) -> float | None:
    """The nearest value that is the threshold away from the reference; None if there is none above zero."""
    targets = [reference * (1 + sign * rule.threshold / 100) for sign in SIGNS[rule.direction]]
    return min((target for target in targets if target > 0), key=lambda target: abs(target - value), default=None)


def _change(before: float, after: float) -> float | None:
    """The change in percent; None from zero."""
    return 100 * (after - before) / before if before else None
